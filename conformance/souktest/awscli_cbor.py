# Writes a copy of a service's model, as this installation of the AWS CLI has it,
# into a folder of models; but the copy says that rpc-v2-cbor is the only protocol
# of the service. It ends with 3 if the AWS CLI does not know that protocol.
#
# python awscli_cbor.py SERVICE FOLDER
import gzip
import importlib
import json
import os
import sys

service, folder = sys.argv[1:]
try:
    botocore = importlib.import_module("awscli.botocore")  # release 2 brings its own along
except ImportError:
    botocore = importlib.import_module("botocore")
serialize = importlib.import_module(botocore.__name__ + ".serialize")
loaders = importlib.import_module(botocore.__name__ + ".loaders")

protocol = "smithy-rpc-v2-cbor"
if protocol not in serialize.SERIALIZERS:
    sys.exit(3)
versions = os.path.join(loaders.Loader.BUILTIN_DATA_PATH, service)
if not os.path.isdir(versions):
    versions = os.path.join(os.path.dirname(importlib.import_module("awscli").__file__), "data", service)
version = max(os.listdir(versions))
model = os.path.join(versions, version, "service-2.json")
if os.path.exists(model):
    text = open(model, "rb").read()
else:
    text = gzip.open(model + ".gz").read()
description = json.loads(text)
description["metadata"]["protocol"] = protocol
description["metadata"]["protocols"] = [protocol]
where = os.path.join(folder, service, version)
os.makedirs(where)
with open(os.path.join(where, "service-2.json"), "w") as f:
    json.dump(description, f)
