package notify

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
)

// policy says how often, and when, a delivery that failed is tried again.
//
// Amazon SNS Developer Guide, "Creating an HTTP/S delivery policy".
type policy struct {
	MinDelayTarget     int    `json:"minDelayTarget"` // seconds
	MaxDelayTarget     int    `json:"maxDelayTarget"` // seconds
	NumRetries         int    `json:"numRetries"`
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`
	NumMinDelayRetries int    `json:"numMinDelayRetries"`
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"`
	BackoffFunction    string `json:"backoffFunction"` // linear, arithmetic, geometric or exponential
}

// standard is SNS's own policy for HTTP and HTTPS: three retries, 20 seconds apart.
var standard = policy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}

// longestRetry is how long all retries may take: "The total policy retry time
// for an HTTP/S endpoint cannot be greater than 3,600 seconds."
const longestRetry = 3600

// topicPolicy is the DeliveryPolicy of a topic.
type topicPolicy struct {
	HTTP struct {
		DefaultHealthyRetryPolicy    *policy `json:"defaultHealthyRetryPolicy"`
		DisableSubscriptionOverrides bool    `json:"disableSubscriptionOverrides"`
	} `json:"http"`
}

// subscriptionPolicy is the DeliveryPolicy of a subscription.
type subscriptionPolicy struct {
	HealthyRetryPolicy *policy `json:"healthyRetryPolicy"`
}

func parseTopicPolicy(text string) (topicPolicy, error) {
	var t topicPolicy
	p := standard
	t.HTTP.DefaultHealthyRetryPolicy = &p
	err := json.Unmarshal([]byte(text), &t, json.RejectUnknownMembers(true))
	return t, checked(t.HTTP.DefaultHealthyRetryPolicy, err)
}

func parseSubscriptionPolicy(text string) (subscriptionPolicy, error) {
	p := standard
	s := subscriptionPolicy{&p}
	err := json.Unmarshal([]byte(text), &s, json.RejectUnknownMembers(true))
	return s, checked(s.HealthyRetryPolicy, err)
}

func checked(p *policy, err error) error {
	if err != nil {
		return invalid("DeliveryPolicy Reason: it is no JSON of the documented form, or has members that are not offered (retry policies are)")
	}
	if p == nil {
		return nil
	}
	function := p.BackoffFunction == "linear" || p.BackoffFunction == "arithmetic" || p.BackoffFunction == "geometric" || p.BackoffFunction == "exponential"
	switch {
	case p.MinDelayTarget < 1 || p.MinDelayTarget > p.MaxDelayTarget:
		return invalid("DeliveryPolicy: minDelayTarget must be from 1 to maxDelayTarget")
	case p.MaxDelayTarget > longestRetry:
		return invalid("DeliveryPolicy: maxDelayTarget must be at most %d", longestRetry)
	case p.NumRetries < 0 || p.NumRetries > 100:
		return invalid("DeliveryPolicy: numRetries must be from 0 to 100")
	case p.NumNoDelayRetries < 0 || p.NumMinDelayRetries < 0 || p.NumMaxDelayRetries < 0 ||
		max(p.NumNoDelayRetries, p.NumMinDelayRetries, p.NumMaxDelayRetries) > 100 || p.NumNoDelayRetries+p.NumMinDelayRetries+p.NumMaxDelayRetries > p.NumRetries:
		return invalid("DeliveryPolicy: the retries of all phases must be 0 or more, and together at most numRetries")
	case !function:
		return invalid("DeliveryPolicy: backoffFunction must be linear, arithmetic, geometric or exponential")
	}
	total := time.Duration(0)
	for i := range p.NumRetries {
		total += p.delay(i)
	}
	if total > longestRetry*time.Second {
		return invalid("DeliveryPolicy: all retries must end within %d seconds", longestRetry)
	}
	return nil
}

// delay is the pause before a retry, counted from 0, without jitter.
func (p *policy) delay(retry int) time.Duration {
	least, most := float64(p.MinDelayTarget), float64(p.MaxDelayTarget)
	backoff := p.NumRetries - p.NumNoDelayRetries - p.NumMinDelayRetries - p.NumMaxDelayRetries
	i := retry - p.NumNoDelayRetries - p.NumMinDelayRetries
	seconds := 0.0
	switch {
	case retry < p.NumNoDelayRetries:
		return 0
	case i < 0:
		seconds = least
	case i >= backoff:
		seconds = most
	default:
		x := 0.0
		if backoff > 1 {
			x = float64(i) / float64(backoff-1)
		}
		switch p.BackoffFunction {
		case "linear":
			seconds = least + (most-least)*x
		case "arithmetic":
			seconds = least + (most-least)*x*(1+x)/2
		case "geometric":
			seconds = least * math.Pow(most/least, x*x)
		default:
			seconds = least * math.Pow(most/least, x)
		}
	}
	return time.Duration(seconds * float64(time.Second))
}

// next is the pause before the retry that follows a number of tries; false:
// there is none. What was planned for one moment is spread by a tenth.
func (p *policy) next(tries int) (time.Duration, bool) {
	if tries > p.NumRetries {
		return 0, false
	}
	d := p.delay(tries - 1)
	return d + time.Duration(rand.Float64()*float64(d)/10), true
}

// effective is the policy of a topic, or of a subscription.
func effective(t *Topic, s *Subscription) (*policy, error) {
	p, overrides := standard, true
	if t.DeliveryPolicy != "" {
		of, err := parseTopicPolicy(t.DeliveryPolicy)
		if err != nil {
			return nil, err
		}
		if of.HTTP.DefaultHealthyRetryPolicy != nil {
			p = *of.HTTP.DefaultHealthyRetryPolicy
		}
		overrides = !of.HTTP.DisableSubscriptionOverrides
	}
	if s != nil && s.DeliveryPolicy != "" && overrides {
		of, err := parseSubscriptionPolicy(s.DeliveryPolicy)
		if err != nil {
			return nil, err
		}
		if of.HealthyRetryPolicy != nil {
			p = *of.HealthyRetryPolicy
		}
	}
	return &p, nil
}

func (p *policy) ofTopic() string {
	var t topicPolicy
	t.HTTP.DefaultHealthyRetryPolicy = p
	return text(t)
}

func (p *policy) ofSubscription() string { return text(subscriptionPolicy{p}) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("notify: encoding a delivery policy: " + err.Error()) // numbers and a word
	}
	return string(b)
}
