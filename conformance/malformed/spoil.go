package malformed

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// wellFormed are the requests that are spoiled.
var wellFormed = []struct {
	service, method, path, query, body string
	header                             map[string]string
}{
	{"aws-marketplace", "GET", "/DescribeEntity", "catalog=AWSMarketplace&entityId=prod-abcdefghijklm", "", nil},
	{"aws-marketplace", "GET", "/DescribeChangeSet", "catalog=AWSMarketplace&changeSetId=2de11mwkeagfwj07225x1h5a5", "", nil},
	{"aws-marketplace", "POST", "/DescribeChangeSet", "", `{"Catalog":"AWSMarketplace","ChangeSetID":"2de11mwkeagfwj07225x1h5a5"}`, jsonType},
	{"aws-marketplace", "PATCH", "/CancelChangeSet", "catalog=AWSMarketplace&changeSetId=2de11mwkeagfwj07225x1h5a5", "", nil},
	{"aws-marketplace", "POST", "/ListEntities", "", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","MaxResults":20,"FilterList":[{"Name":"EntityId","ValueList":["prod-1"]}],"Sort":{"SortBy":"LastModifiedDate","SortOrder":"DESCENDING"}}`, jsonType},
	{"aws-marketplace", "POST", "/ListEntities", "", `{"Catalog":"AWSMarketplace","EntityType":"ContainerProduct","EntityTypeFilters":{"ContainerProductFilters":{"ProductTitle":{"WildCardValue":"abc"},"LastModifiedDate":{"DateRange":{"AfterValue":"2026-01-01T00:00:00Z"}}}},"NextToken":"AAAA"}`, jsonType},
	{"aws-marketplace", "POST", "/ListChangeSets", "", `{"Catalog":"AWSMarketplace","FilterList":[{"Name":"Status","ValueList":["SUCCEEDED"]}],"Sort":{"SortBy":"StartTime","SortOrder":"ASCENDING"}}`, jsonType},
	{"aws-marketplace", "POST", "/StartChangeSet", "", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"ChangeName":"Create","DetailsDocument":{}},{"ChangeType":"UpdateInformation","Entity":{"Type":"ContainerProduct@1.0","Identifier":"$Create.Entity.Identifier"},"Details":"{\"ProductTitle\":\"Title\",\"Categories\":[\"Databases\"]}"}],"ClientRequestToken":"token-1","Intent":"VALIDATE"}`, jsonType},
	{"aws-marketplace", "POST", "/StartChangeSet", "", `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"AddDeliveryOptions","Entity":{"Type":"ContainerProduct@1.0","Identifier":"prod-abcdefghijklm@1"},"DetailsDocument":{"Version":{"VersionTitle":"1.0","ReleaseNotes":"notes"},"DeliveryOptions":[{"DeliveryOptionTitle":"EKS","Details":{"EcrDeliveryOptionDetails":{"ContainerImages":["127.0.0.1:8470/seller/app:1"],"DeploymentResources":[{"Name":"r","Url":"https://example.com"}],"CompatibleServices":["EKS"],"Description":"d","UsageInstructions":"u"}}}]}}],"ChangeSetName":"name","ChangeSetTags":[{"Key":"k","Value":"v"}]}`, jsonType},
	{"sts", "POST", "/", "", "Action=GetCallerIdentity&Version=2011-06-15", map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}},
	{"sts", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", "", nil},
	{"ecr", "POST", "/", "", `{"registryIds":["123456789012"]}`, map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}},
	{"appstream", "POST", "/", "", `{"Name":"desk","InstanceType":"stream.standard.small","ImageName":"nothing","VpcConfig":{"SubnetIds":["subnet-0a1b2c3d"],"SecurityGroupIds":["sg-0a1b2c3d"]},"EnableDefaultInternetAccess":false,"RootVolumeConfig":{"VolumeSizeInGb":200},"Tags":{"team":"blue"}}`, appStream("CreateImageBuilder")},
	{"appstream", "POST", "/", "", `{"Type":"PRIVATE","MaxResults":5,"Names":["nothing"]}`, appStream("DescribeImages")},
	{"appstream", "POST", rpcPath("CreateImageBuilder"), "", members("Name", textItem("desk"), "InstanceType", textItem("stream.standard.small"), "ImageName", textItem("nothing"),
		"VpcConfig", members("SubnetIds", listItem(textItem("subnet-0a1b2c3d")), "SecurityGroupIds", listItem(textItem("sg-0a1b2c3d"), textItem("sg-0a1b2c3e"))),
		"DomainJoinInfo", members("DirectoryName", textItem("corp.example.com")), "EnableDefaultInternetAccess", itemFalse,
		"RootVolumeConfig", members("VolumeSizeInGb", numberItem(200)), "Tags", members("team", textItem("blue"), "Größe", textItem(""))), cborType},
	{"appstream", "POST", rpcPath("DescribeImages"), "", members("Type", textItem("PRIVATE"), "MaxResults", numberItem(5), "NextToken", textItem("AAAA")), cborType},
	{"appstream", "POST", rpcPath("DescribeImageBuilders"), "", members(), cborType},
	{"appstream", "POST", rpcPath("StopImageBuilder"), "", members("Name", textItem("nothing")), cborType},
	{"appstream", "POST", rpcPath("CreateImportedImage"), "", members("Name", textItem("goods"), "SourceAmiId", textItem("ami-0123456789abcdef0"), "IamRoleArn", textItem("arn:aws:iam::123456789012:role/Images"),
		"AppCatalogConfig", listItem(members("Name", textItem("Shell"), "AbsoluteAppPath", textItem("/bin/sh"))), "DryRun", itemTrue), cborType},
	{"appstream", "POST", rpcPath("UpdateImagePermissions"), "", members("Name", textItem("nothing"), "SharedAccountId", textItem("123456789012"), "ImagePermissions", members("allowFleet", itemFalse, "allowImageBuilder", itemTrue)), cborType},
	{"appstream", "POST", rpcPath("ListExportImageTasks"), "", members("Filters", listItem(members("Name", textItem("State"), "Values", listItem(textItem("COMPLETED")))), "MaxResults", numberItem(500)), cborType},
	{"appstream", "POST", rpcPath("UntagResource"), "", members("ResourceArn", textItem("arn:aws:appstream:us-east-1:123456789012:image/nothing"), "TagKeys", listItem(textItem("a"))), cborType},
}

// appStream is the type of a request to AppStream in JSON.
func appStream(operation string) map[string]string {
	return map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "PhotonAdminProxyService." + operation}
}

var jsonType = map[string]string{"Content-Type": "application/json"}

// longest bounds what one change adds, so that a million requests stay cheap.
const longest = 20 << 10

// odd are values that programs stumble over.
var odd = []string{
	"", " ", "null", "true", "0", "-1", "1e400", "9223372036854775808", "1.5", "NaN", "[]", "{}", "[null]", `""`, `"\u0000"`, `"\ud800"`,
	`"AWSMarketplace\n"`, `"` + "\xff" + `"`, `"` + "\x00" + `"`, `{"a":{"a":{"a":1}}}`, `"$Create.Entity.Identifier"`, `"prod-1@99999999999999999999"`,
	`"../../etc/passwd"`, `"%00"`, `"'; DROP TABLE documents; --"`, `"arn:aws:aws-marketplace:us-east-1:123456789012:x"`, `"𝔘𝔫𝔦"`, `"2026-02-31T99:99:99Z"`,
}

// content are changes to what a request says; a signature is made after them.
var content = []func(*draft){
	func(d *draft) {
		d.method = d.pick("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW")
	},
	func(d *draft) {
		d.path = d.pick("/", "//", "/.", "/../", "/DescribeEntity/", "/describeentity", "/DescribeEntity/x", "/%2e%2e/", "/%00", "/"+strings.Repeat("a", 3000), "/tags/x", "/*")
	},
	func(d *draft) { d.query += "&" + d.query },
	func(d *draft) {
		d.query = strings.Replace(d.query, "=", d.pick("", "==", "=%00", "=%ff", "=+", "=&"), 1)
	},
	func(d *draft) {
		d.query += "&" + url.QueryEscape(d.pick(odd...)) + "=" + url.QueryEscape(d.pick(odd...))
	},
	func(d *draft) { d.query += strings.Repeat("&a=b", 1+d.IntN(1500)) },
	func(d *draft) { d.query = strings.ReplaceAll(d.query, "prod", url.QueryEscape(d.pick(odd...))) },
	func(d *draft) {
		d.header.Set("Content-Type", d.pick("text/plain", "application/json; charset=latin-1", "application/x-amz-json-1.1", "application/x-www-form-urlencoded", "application/cbor", "multipart/form-data; boundary=x", ";", "a/b;c=\"", "application/xml"))
	},
	func(d *draft) { d.header.Del("Content-Type") },
	func(d *draft) {
		d.header.Set("X-Amz-Target", d.pick("", ".", "A.B", "AmazonEC2ContainerRegistry_V20150921.", "AmazonEC2ContainerRegistry_V20150921.Nothing", strings.Repeat("A", 2000)))
	},
	func(d *draft) { d.header.Set("Content-Encoding", d.pick("gzip", "aws-chunked", "br", "identity")) },
	func(d *draft) { d.service = d.pick("aws-marketplace", "sts", "ecr", "s3", "iam", "appstream", "x") },
	func(d *draft) { d.body = nil },
	func(d *draft) { d.body = []byte(d.pick(odd...)) },
	func(d *draft) { d.body = d.bytes(d.IntN(200)) },
	func(d *draft) { d.body = d.body[:d.upTo(len(d.body))] },
	func(d *draft) { d.body = append(d.body, d.pick("}", "{}", ",", "\x00", " ", "&a=b")...) },
	func(d *draft) { d.body = slices.Insert(d.body, d.upTo(len(d.body)), d.bytes(1+d.IntN(3))...) },
	func(d *draft) {
		d.body = bytes.Replace(d.body, []byte(":"), []byte(d.pick("", "::", ":[", ":{", ",")), 1)
	},
	func(d *draft) { d.replaceValue(d.pick(odd...)) },
	func(d *draft) { d.replaceValue(d.pick(odd...)) },
	func(d *draft) { d.replaceValue(d.pick(odd...)) },
	func(d *draft) { d.replaceValue(d.deep()) },
	func(d *draft) {
		d.replaceValue(`"` + strings.Repeat(d.pick("a", "é", "\\n", "{"), 1+d.IntN(longest/2)) + `"`)
	},
	func(d *draft) { d.replaceValue("[" + strings.Repeat(d.pick("1,", "{},", `"a",`), d.IntN(2000)) + "1]") },
	func(d *draft) { d.replaceValue(strings.Repeat("9", 1+d.IntN(500))) },
	func(d *draft) { d.body = bytes.Replace(d.body, []byte("{"), []byte(`{"Catalog":"B",`), 1) },
	func(d *draft) { d.body = bytes.Replace(d.body, []byte("{"), []byte("{"+d.pick(odd...)+":1,"), 1) },
	func(d *draft) {
		d.body = bytes.ReplaceAll(d.body, []byte("Catalog"), []byte(d.pick("catalog", "CATALOG", "Cat\\u0061log")))
	},
	func(d *draft) {
		d.body = bytes.ReplaceAll(d.body, []byte("ContainerProduct"), []byte(d.pick("Nothing", "AmiProduct", "ContainerProduct@", "@")))
	},
	func(d *draft) {
		d.body = bytes.ReplaceAll(d.body, []byte("Action"), []byte(d.pick("action", "Action.1", "A%ction")))
	},
}

// upTo is a position in something of a length.
func (d *draft) upTo(n int) int { return d.IntN(n + 1) }

// deep is a value that is nested deeply.
func (d *draft) deep() string {
	n := 1 + d.IntN(3000)
	if d.IntN(2) == 0 {
		return strings.Repeat("[", n) + strings.Repeat("]", n)
	}
	return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
}

// replaceValue puts another value behind one of the body's names.
func (d *draft) replaceValue(value string) {
	var colons []int
	for i := range d.body {
		if d.body[i] == ':' && i > 0 && d.body[i-1] == '"' {
			colons = append(colons, i+1)
		}
	}
	if len(colons) == 0 {
		return
	}
	from := colons[d.IntN(len(colons))]
	d.body = slices.Concat(d.body[:from], []byte(value), d.body[valueEnd(d.body, from):])
}

// valueEnd finds the end of the JSON value at from.
func valueEnd(b []byte, from int) int {
	depth, text := 0, false
	for i := from; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth < 0 {
				return i
			}
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(b)
}

// headers are changes to the headers; a signature was made before them.
var headers = []func(*draft){
	func(d *draft) { d.header.Del("Authorization") },
	func(d *draft) {
		d.header.Set("Authorization", d.pick("", "Basic QTpC", "Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 =,=,", "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;, Signature=0"))
	},
	func(d *draft) {
		d.edit("Authorization", "Signature=", d.pick("Signature=0", "Signature", "signature=", "Signature=,Signature="))
	},
	func(d *draft) {
		d.edit("Authorization", "/us-east-1/", d.pick("//", "/us-east-1/us-east-1/", "/"+strings.Repeat("r", 5000)+"/", "/\x7f/"))
	},
	func(d *draft) { d.edit("Authorization", "aws4_request", d.pick("", "aws5_request", "aws4_request/")) },
	func(d *draft) {
		d.edit("Authorization", "host", d.pick("", "Host", "host;host", "x-none;host", ";host"))
	},
	func(d *draft) {
		d.edit("Authorization", "Credential=", d.pick("Credential=X", "Credential=%00", "Credential"))
	},
	func(d *draft) {
		d.header["Authorization"] = append(d.header["Authorization"], d.header.Get("Authorization"))
	},
	func(d *draft) {
		d.header.Set("X-Amz-Date", d.pick("", "20260101T000000Z", "99999999T999999Z", "20260230T000000Z", "now", "20260101T000000", "Mon, 02 Jan 2006 15:04:05 GMT"))
	},
	func(d *draft) { d.header.Del("X-Amz-Date") },
	func(d *draft) { d.header["X-Amz-Date"] = append(d.header["X-Amz-Date"], "20260101T000000Z") },
	func(d *draft) {
		d.header.Set("X-Amz-Content-Sha256", d.pick("", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", strings.Repeat("0", 64)))
	},
	func(d *draft) { d.header.Set("X-Amz-Security-Token", strings.Repeat("t", 1+d.IntN(4000))) },
	func(d *draft) { d.header.Set("X-Amz-Anything", "1") },
	func(d *draft) {
		d.query += "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + d.pick("", "A", "A%2F20260101%2Fus-east-1%2Fsts%2Faws4_request") + "&X-Amz-Signature=" + d.pick("", "00")
	},
	func(d *draft) {
		d.header.Del("Authorization")
		d.query = strings.TrimPrefix(d.query+"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires="+
			d.pick("0", "-1", "x", "604801", "99999999999999999999", "3600")+"&X-Amz-Credential=A%2F20260101%2Fus-east-1%2F"+d.service+"%2Faws4_request", "&")
	},
	func(d *draft) {
		d.header.Set("Accept", d.pick("", "text/html", "application/xml", strings.Repeat("a/b,", 500)))
	},
	func(d *draft) { d.header.Set("Accept-Encoding", d.pick("gzip", "*;q=0", "\"")) },
	func(d *draft) { d.header.Set("User-Agent", strings.Repeat("u", d.IntN(4000))) },
	func(d *draft) { d.header.Set("Cookie", strings.Repeat("a=b; ", d.IntN(500))) },
	func(d *draft) { d.header.Set("Range", "bytes=0-") },
	func(d *draft) { d.header.Set("X-Http-Method-Override", "DELETE") },
	func(d *draft) { d.header.Set("X-Forwarded-For", d.pick("127.0.0.1", "::1", "x")) },
	func(d *draft) {
		for i := range d.IntN(100) {
			d.header.Set("X-Many-"+strconv.Itoa(i), "v")
		}
	},
}

func (d *draft) edit(header, old, new string) {
	d.header.Set(header, strings.Replace(d.header.Get(header), old, new, 1))
}

// wire are changes to the framing, after which nobody can say where the request ends.
var wire = []func(*draft){
	unframed(func(d *draft) {
		d.length = d.pick("-1", "x", "+5", "0x5", "99999999999999999999", "1, 2", " ", "1 1", "٣")
	}),
	unframed(func(d *draft) { d.length = strconv.Itoa(len(d.body) + 1 + d.IntN(1000)) }),
	unframed(func(d *draft) { d.length = strconv.Itoa(d.upTo(len(d.body))) }),
	unframed(func(d *draft) { d.extra = append(d.extra, "Content-Length: "+strconv.Itoa(d.IntN(10))) }),
	unframed(func(d *draft) {
		d.extra = append(d.extra, "Transfer-Encoding: "+d.pick("gzip", "identity", "chunked, chunked", "gzip, chunked", "x", ""))
	}),
	unframed(func(d *draft) { d.chunk(d.pick("\r\n", "\n", "")) }),
	unframed(func(d *draft) {
		d.chunk("\r\n")
		d.length = strconv.Itoa(len(d.body))
	}),
	unframed(func(d *draft) {
		d.length = ""
		d.extra = append(d.extra, "Transfer-Encoding: chunked")
		d.body = []byte(d.pick("zz\r\n", "5\r\nab", "-1\r\n", "ffffffffffffffff\r\n", "0\r\n", "1;"+strings.Repeat("x", 5000)+"\r\na\r\n0\r\n\r\n", ""))
	}),
	unframed(func(d *draft) {
		d.proto = d.pick("HTTP/1.0", "HTTP/3.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "http/1.1", "HTTP/1.", "", "FTP/1.1", "HTTP/1.1 x")
	}),
	unframed(func(d *draft) { d.method = d.pick("", "G ET", "GET\x00", "(", "PRI", strings.Repeat("M", 5000)) }),
	unframed(func(d *draft) {
		d.path = d.pick("", "*", "x", "http://", "http://[::1", "http://other/DescribeEntity", "/\x00", "/ x", "/%", "/%zz", "/\x7f", "//x:99999/")
	}),
	unframed(func(d *draft) {
		d.extra = append(d.extra, d.pick("NoColon", ": novalue", "Bad Name: x", "Bad\x00: x", "X-A: \x00", "X-A: \r", "X-A\t: x", " folded", "Host: other", "X-É: x", "Trailer: X-Amz-Date", "Connection: X-Amz-Date", "Upgrade: websocket", "Expect: 100-continue", "Expect: 200-ok", "Connection: close"))
	}),
	unframed(func(d *draft) { d.extra = append(d.extra, "X-Long: "+strings.Repeat("l", 1+d.IntN(100<<10))) }),
	unframed(func(d *draft) {
		for i := range d.IntN(3000) {
			d.extra = append(d.extra, fmt.Sprintf("X-%d: v", i))
		}
	}),
	unframed(func(d *draft) { d.query += "&a=" + strings.Repeat("q", d.IntN(100<<10)) }),
}

func unframed(change func(*draft)) func(*draft) {
	return func(d *draft) {
		change(d)
		d.framed = false
	}
}

// chunk sends the body in chunks, with the given line ends.
func (d *draft) chunk(end string) {
	var b bytes.Buffer
	for rest := d.body; len(rest) > 0; {
		n := min(len(rest), 1+d.IntN(40))
		fmt.Fprintf(&b, "%x%s%s%s", n, end, rest[:n], end)
		rest = rest[n:]
	}
	b.WriteString("0" + end + d.pick("", "X-Amz-Date: 20260101T000000Z"+end, "bad trailer"+end) + end)
	d.length, d.body = "", b.Bytes()
	d.extra = append(d.extra, "Transfer-Encoding: chunked")
}
