package registry

import "souk/access/iam"

// permission is what a request needs of the asker's policies, on the
// repository that it names.
type permission struct {
	// any has the actions of which one must be allowed. The first is the one
	// that a refusal names.
	any []string
	// steps has the actions that Amazon ECR would ask for on the way. They need
	// not be allowed, but an explicit deny of one refuses the request.
	steps []string
}

// The permissions of the registry's requests. ecr:PutImage and
// ecr:BatchGetImage decide: they alone suffice for a push and for a pull. The
// actions that Amazon ECR has for the small steps allow no more than what a
// client looks up before it pushes; denied explicitly, each closes its step.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// Amazon Elastic Container Registry"; Amazon ECR User Guide, "IAM permissions
// for pushing an image to an Amazon ECR private repository" (image-push-iam.html).
var (
	// HEAD of a blob: a push asks so which layers are there already.
	lookUpLayer = permission{
		any:   []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:PutImage"},
		steps: []string{"ecr:BatchCheckLayerAvailability"},
	}
	// HEAD of a manifest: its digest, before a push and before a pull.
	lookUpImage = permission{
		any:   []string{"ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"},
		steps: []string{"ecr:BatchGetImage"},
	}
	pullImage = permission{any: []string{"ecr:BatchGetImage"}}
	pullLayer = permission{
		any:   []string{"ecr:BatchGetImage"},
		steps: []string{"ecr:GetDownloadUrlForLayer"},
	}
	listImages = permission{
		any:   []string{"ecr:ListImages", "ecr:BatchGetImage"},
		steps: []string{"ecr:ListImages"},
	}
	beginLayer = permission{
		any:   []string{"ecr:PutImage"},
		steps: []string{"ecr:InitiateLayerUpload"},
	}
	// PATCH of an upload; and its state and its end without a layer.
	uploadLayer = permission{
		any:   []string{"ecr:PutImage"},
		steps: []string{"ecr:UploadLayerPart"},
	}
	// PUT of an upload may bring all of a layer.
	completeLayer = permission{
		any:   []string{"ecr:PutImage"},
		steps: []string{"ecr:UploadLayerPart", "ecr:CompleteLayerUpload"},
	}
	// POST that takes a layer of another repository, which needs pullLayer there.
	mountLayer = permission{
		any:   []string{"ecr:PutImage"},
		steps: []string{"ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload"},
	}
	pushImage   = permission{any: []string{"ecr:PutImage"}}
	deleteImage = permission{any: []string{"ecr:BatchDeleteImage"}}
)

// given says whether the permission is given by what decide answers for each
// action. If not, missing is the action to name in the refusal.
func (p permission) given(decide func(action string) iam.Decision) (ok bool, missing string, answer iam.Decision) {
	for _, action := range p.steps {
		if d := decide(action); d.Explicit {
			return false, action, d
		}
	}
	missing = p.any[0]
	for _, action := range p.any {
		d := decide(action)
		if d.Allowed {
			return true, "", d
		}
		if d.Explicit && !answer.Explicit {
			missing, answer = action, d
		}
	}
	return false, missing, answer
}
