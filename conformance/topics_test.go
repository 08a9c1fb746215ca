package conformance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// notice is a message as an endpoint gets it.
type notice struct {
	Type, MessageId, Token, TopicArn, Subject, Message, SubscribeURL, Timestamp string
	SignatureVersion, Signature, SigningCertURL, UnsubscribeURL                 string
	MessageAttributes                                                           map[string]struct{ Type, Value string }
}

// inbox is an endpoint that keeps what it is sent.
type inbox struct {
	address string
	got     chan notice

	mu     sync.Mutex
	status int    // that it answers notifications with; guarded by mu
	to     string // where it redirects to; guarded by mu
	seen   map[string]int
}

// newInbox starts an endpoint, over TLS if ca is not "": then the file of that
// name gets its certificate.
func newInbox(t *testing.T, ca string) *inbox {
	t.Helper()
	in := &inbox{got: make(chan notice, 10_000), status: http.StatusOK, seen: map[string]int{}}
	server := httptest.NewUnstartedServer(in)
	if ca == "" {
		server.Start()
	} else {
		server.StartTLS()
		must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	}
	t.Cleanup(server.Close)
	in.address = server.URL + "/in"
	return in
}

// ServeHTTP implements http.Handler.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var n notice
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil || r.Header.Get("x-amz-sns-message-type") != n.Type || r.Header.Get("x-amz-sns-message-id") != n.MessageId {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	status := in.status
	if n.Type == "Notification" && in.to != "" {
		w.Header().Set("Location", in.to)
	}
	if n.Type != "Notification" {
		status = http.StatusOK
	}
	if status == http.StatusOK {
		in.seen[n.Message]++
	}
	in.mu.Unlock()
	w.WriteHeader(status)
	in.got <- n
}

// answer sets the status that notifications are answered with.
func (in *inbox) answer(status int, to string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.status, in.to = status, to
}

// times is how often a message was taken.
func (in *inbox) times(message string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.seen[message]
}

func (in *inbox) next(t *testing.T) notice {
	t.Helper()
	select {
	case n := <-in.got:
		return n
	case <-time.After(2 * time.Minute):
		t.Fatal("the endpoint got nothing")
		return notice{}
	}
}

// visit follows a link of a message.
func visit(t *testing.T, client *http.Client, link string) (status int, body string) {
	t.Helper()
	r, err := client.Get(link)
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	return r.StatusCode, string(text)
}

// verify checks the signature of version 2 with the certificate that the
// message names, by the documented text to sign.
func (n notice) verify(t *testing.T) bool {
	t.Helper()
	status, text := visit(t, http.DefaultClient, n.SigningCertURL)
	block, _ := pem.Decode([]byte(text))
	if status != http.StatusOK || block == nil || n.SignatureVersion != "2" {
		t.Fatalf("the certificate at %s (%d) is %q", n.SigningCertURL, status, text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	signed := "Message\n" + n.Message + "\nMessageId\n" + n.MessageId + "\n"
	if n.Type == "Notification" {
		if n.Subject != "" {
			signed += "Subject\n" + n.Subject + "\n"
		}
		signed += "Timestamp\n" + n.Timestamp + "\n"
	} else {
		signed += "SubscribeURL\n" + n.SubscribeURL + "\nTimestamp\n" + n.Timestamp + "\nToken\n" + n.Token + "\n"
	}
	signed += "TopicArn\n" + n.TopicArn + "\nType\n" + n.Type + "\n"
	signature, err := base64.StdEncoding.DecodeString(n.Signature)
	must(t, err)
	sum := sha256.Sum256([]byte(signed))
	return rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature) == nil
}

// commandLine runs the AWS CLI as a seller.
type commandLine struct {
	line   *souktest.AWS
	s      *seller.Seller
	region string
}

func (c commandLine) run(t *testing.T, args ...string) (out, problem string) {
	t.Helper()
	command := c.line.Command(t.Context(), append([]string{"--endpoint-url", c.s.URL, "--region", c.region, "sns"}, args...)...)
	command.Env = append(command.Env, "AWS_ACCESS_KEY_ID="+c.s.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.s.SecretAccessKey)
	var o, e bytes.Buffer
	command.Stdout, command.Stderr = &o, &e
	if err := command.Run(); err != nil && e.Len() == 0 {
		t.Fatalf("aws sns %v: %v", args, err)
	}
	return strings.TrimSpace(o.String()), strings.TrimSpace(e.String())
}

func (c commandLine) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, problem := c.run(t, args...)
	if problem != "" {
		t.Fatalf("aws sns %v: %s", args, problem)
	}
	return out
}

// refused wants an error code.
func (c commandLine) refused(t *testing.T, code string, args ...string) {
	t.Helper()
	if out, problem := c.run(t, args...); !strings.Contains(problem, "("+code+")") {
		t.Errorf("aws sns %v: %s %s, want %s", args, out, problem, code)
	}
}

// TestTopicsByTheAWSCommandLine: a topic from its making to its end.
func TestTopicsByTheAWSCommandLine(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		o.Dir = t.TempDir()
		ca := filepath.Join(o.Dir, "endpoint.pem")
		secure, plain := newInbox(t, ca), newInbox(t, "")
		o.Flags = []string{"--fetch-ca", ca}
		server := souktest.Start(t, o)
		account := server.Account(t, "topics", "")
		root := account.Seller(server)
		aws := commandLine{souktest.NewAWS(t, t.TempDir()), root, "eu-west-1"}
		topic := aws.ok(t, "create-topic", "--name", "ends", "--attributes", "SignatureVersion=2,DisplayName=Ends", "--query", "TopicArn", "--output", "text")
		if want := "arn:aws:sns:eu-west-1:" + account.ID + ":ends"; topic != want {
			t.Fatalf("topic %s, want %s", topic, want)
		}
		if again := aws.ok(t, "create-topic", "--name", "ends", "--query", "TopicArn", "--output", "text"); again != topic {
			t.Errorf("made again it is %s", again)
		}
		if list := aws.ok(t, "list-topics", "--query", "Topics[].TopicArn", "--output", "text"); list != topic {
			t.Errorf("topics %s", list)
		}
		if list := (commandLine{aws.line, root, "us-east-1"}).ok(t, "list-topics", "--query", "length(Topics)"); list != "0" {
			t.Errorf("another region has %s topics", list)
		}

		// Both endpoints confirm: one by its link, one by a signed call.
		if answer := aws.ok(t, "subscribe", "--topic-arn", topic, "--protocol", "https", "--notification-endpoint", secure.address, "--query", "SubscriptionArn", "--output", "text"); answer != "pending confirmation" {
			t.Errorf("subscribing answers %s", answer)
		}
		asked := secure.next(t)
		if asked.Type != "SubscriptionConfirmation" || !asked.verify(t) {
			t.Errorf("got %+v", asked)
		}
		if status, body := visit(t, http.DefaultClient, strings.Replace(asked.SubscribeURL, asked.Token[:8], "00000000", 1)); status != http.StatusBadRequest || !strings.Contains(body, "<Code>InvalidParameter</Code>") {
			t.Errorf("a wrong token: %d %s", status, body)
		}
		status, body := visit(t, http.DefaultClient, asked.SubscribeURL)
		arn := regexp.MustCompile(`<ConfirmSubscriptionResult><SubscriptionArn>(.+)</SubscriptionArn>`).FindStringSubmatch(body)
		if status != http.StatusOK || arn == nil {
			t.Fatalf("confirming: %d %s", status, body)
		}
		one := arn[1]
		two := aws.ok(t, "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", plain.address, "--return-subscription-arn",
			"--attributes", `{"DeliveryPolicy":"{\"healthyRetryPolicy\":{\"numRetries\":1,\"minDelayTarget\":1,\"maxDelayTarget\":1}}"}`, "--query", "SubscriptionArn", "--output", "text")
		if list := aws.ok(t, "list-subscriptions-by-topic", "--topic-arn", topic, "--query", "Subscriptions[?Protocol=='http'].SubscriptionArn", "--output", "text"); list != "PendingConfirmation" {
			t.Errorf("an unconfirmed subscription is shown as %s", list)
		}
		token := plain.next(t).Token
		if got := aws.ok(t, "confirm-subscription", "--topic-arn", topic, "--token", token, "--authenticate-on-unsubscribe", "true", "--query", "SubscriptionArn", "--output", "text"); got != two {
			t.Errorf("confirmed %s, want %s", got, two)
		}
		if got := aws.ok(t, "get-topic-attributes", "--topic-arn", topic, "--query", "Attributes.[SubscriptionsConfirmed,SubscriptionsPending,DisplayName,Owner]", "--output", "text"); strings.Join(strings.Fields(got), " ") != "2 0 Ends "+account.ID {
			t.Errorf("attributes %s", got)
		}
		if got := aws.ok(t, "get-subscription-attributes", "--subscription-arn", two, "--query", "Attributes.[PendingConfirmation,ConfirmationWasAuthenticated]", "--output", "text"); strings.Join(strings.Fields(got), " ") != "false true" {
			t.Errorf("attributes %s", got)
		}

		id := aws.ok(t, "publish", "--topic-arn", topic, "--subject", "S", "--message-structure", "json", "--message", `{"default":"to all","http":"to http"}`,
			"--message-attributes", `{"kind":{"DataType":"String","StringValue":"test"}}`, "--query", "MessageId", "--output", "text")
		for in, want := range map[*inbox]string{secure: "to all", plain: "to http"} {
			if n := in.next(t); n.MessageId != id || n.Message != want || n.Subject != "S" || n.MessageAttributes["kind"].Value != "test" || !n.verify(t) {
				t.Errorf("got %+v, want %s", n, want)
			} else if n.Message += "x"; n.verify(t) {
				t.Error("another message has the same signature")
			}
		}

		// A redirect is not followed, and what fails for good is a dead letter.
		inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
		t.Cleanup(inside.Close)
		plain.answer(http.StatusTemporaryRedirect, inside.URL)
		aws.ok(t, "publish", "--topic-arn", topic, "--message", "redirected")
		plain.next(t)
		secure.next(t)
		waitForDead(t, server, account.ID, two, "status 307")
		plain.answer(http.StatusServiceUnavailable, "")
		aws.ok(t, "publish", "--topic-arn", topic, "--message", "unlucky")
		plain.next(t)
		plain.next(t) // the one retry of its policy
		waitForDead(t, server, account.ID, two, "status 503")
		plain.answer(http.StatusOK, "")
		out, err := server.Command("topic", "redrive", "--account", account.ID, "--subscription", two)
		if err != nil || !strings.HasPrefix(out, "2 messages") {
			t.Errorf("redriving: %s %v", out, err)
		}
		for range 2 {
			plain.next(t)
		}
		if plain.times("redirected") != 1 || plain.times("unlucky") != 1 {
			t.Error("what was redriven did not come")
		}
		out, err = server.Command("topic", "dead-letters", "--account", account.ID)
		if err != nil || !strings.Contains(out, "no dead letters") {
			t.Errorf("dead letters: %s %v", out, err)
		}

		refusalsOfTopics(t, server, aws, topic)

		// One leaves by its link; the other needs a signature.
		leave := func(subscription string) (int, string) {
			return visit(t, http.DefaultClient, server.URL+"/?"+url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {subscription}}.Encode())
		}
		if status, body := leave(two); status != http.StatusForbidden || !strings.Contains(body, "AuthorizationError") {
			t.Errorf("leaving without a signature: %d %s", status, body)
		}
		if status, body := leave(one); status != http.StatusOK {
			t.Errorf("leaving: %d %s", status, body)
		}
		n := secure.next(t)
		for n.Type == "Notification" { // of before
			n = secure.next(t)
		}
		if n.Type != "UnsubscribeConfirmation" || !n.verify(t) {
			t.Errorf("got %+v", n)
		}
		aws.ok(t, "unsubscribe", "--subscription-arn", two)
		if list := aws.ok(t, "list-subscriptions", "--query", "length(Subscriptions)"); list != "0" {
			t.Errorf("%s subscriptions are left", list)
		}
		events, err := lookupEvents(t.Context(), root, `{"AttributeKey":"EventName","AttributeValue":"Unsubscribe"}`)
		if err != nil || len(events) < 2 || events[0].UserIdentity.Type != "Root" || events[1].UserIdentity.Type != "AWSAccount" {
			t.Errorf("records of leaving: %+v, %v", events, err)
		}
		aws.ok(t, "delete-topic", "--topic-arn", topic)
		aws.ok(t, "delete-topic", "--topic-arn", topic)
		aws.refused(t, "NotFound", "get-topic-attributes", "--topic-arn", topic)
		out, err = server.Command("doctor")
		if err != nil {
			t.Errorf("souk doctor: %v\n%s", err, out)
		}
	})
}

// waitForDead waits until a dead letter of a subscription has a reason.
func waitForDead(t *testing.T, server *souktest.Server, account, subscription, reason string) {
	t.Helper()
	for range 200 {
		out, err := server.Command("topic", "dead-letters", "--account", account, "--subscription", subscription)
		must(t, err)
		if strings.Contains(out, reason) {
			return
		}
	}
	t.Fatalf("there is no dead letter with %q", reason)
}

// refusalsOfTopics asks what is refused, by policies and by the service.
func refusalsOfTopics(t *testing.T, server *souktest.Server, root commandLine, topic string) {
	t.Helper()
	user := server.User(t, root.s, "publisher")
	server.Allow(t, root.s, "publisher", "publish", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:Publish","Resource":"`+topic+`"}]}`)
	publisher := commandLine{root.line, user, "eu-west-1"}
	publisher.ok(t, "publish", "--topic-arn", topic, "--message", "by a user")
	publisher.refused(t, "AuthorizationError", "list-topics")
	publisher.refused(t, "AuthorizationError", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", "http://example.com")
	publisher.refused(t, "AuthorizationError", "delete-topic", "--topic-arn", topic)
	other := commandLine{root.line, server.Account(t, "stranger", "").Seller(server), "eu-west-1"}
	other.refused(t, "AuthorizationError", "publish", "--topic-arn", topic, "--message", "x")
	other.refused(t, "AuthorizationError", "list-subscriptions-by-topic", "--topic-arn", topic)
	(commandLine{root.line, root.s, "us-east-1"}).refused(t, "InvalidParameter", "publish", "--topic-arn", topic, "--message", "x")
	root.refused(t, "NotFound", "publish", "--topic-arn", topic+"x", "--message", "x")
	root.refused(t, "InvalidParameter", "create-topic", "--name", "a.fifo", "--attributes", "FifoTopic=true")
	root.refused(t, "InvalidParameter", "subscribe", "--topic-arn", topic, "--protocol", "email", "--notification-endpoint", "a@example.com")
	root.refused(t, "InvalidParameter", "publish", "--phone-number", "+15555550100", "--message", "x")
	root.refused(t, "InvalidParameter", "set-topic-attributes", "--topic-arn", topic, "--attribute-name", "Policy", "--attribute-value", "{}")
}

// sns asks for an action of SNS and returns the answer's body.
func sns(ctx context.Context, s *seller.Seller, values url.Values) (string, error) {
	values.Set("Version", "2010-03-31")
	body := values.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := s.SignFor(r, body, "sns", time.Now()); err != nil {
		return "", err
	}
	a, err := s.Send(r)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", values.Get("Action"), a.Status, a.Body)
	}
	return string(a.Body), err
}

// TestMessagesOutliveKills: what Publish has answered, and the end of every
// change set, reaches its endpoint, whenever the server is killed.
func TestMessagesOutliveKills(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		in := newInbox(t, "")
		server := souktest.Start(t, o)
		root := server.Root(t)
		ctx := t.Context()
		account, err := root.Account(ctx)
		must(t, err)
		topic := "arn:aws:sns:us-east-1:" + account + ":ends"
		for _, call := range []url.Values{
			{"Action": {"CreateTopic"}, "Name": {"ends"}, "Attributes.entry.1.key": {"ChangeSetEvents"}, "Attributes.entry.1.value": {"true"}},
			{
				"Action": {"Subscribe"}, "TopicArn": {topic}, "Protocol": {"http"}, "Endpoint": {in.address},
				"Attributes.entry.1.key": {"DeliveryPolicy"}, "Attributes.entry.1.value": {`{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":1,"maxDelayTarget":1}}`},
			},
		} {
			_, err := sns(ctx, root, call)
			must(t, err)
		}
		_, err = sns(ctx, root, url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {topic}, "Token": {in.next(t).Token}})
		must(t, err)

		var published, sets []string
		for round := range 4 {
			in.answer(http.StatusServiceUnavailable, "") // what is sent before the kill is not taken
			for i := range 5 {
				text := fmt.Sprintf("message %d of round %d", i, round)
				if _, err := sns(ctx, root, url.Values{"Action": {"Publish"}, "TopicArn": {topic}, "Message": {text}}); err != nil {
					t.Fatal(err)
				}
				published = append(published, text)
				set, err := root.Start(ctx, seller.Change("CreateProduct", "", `{"ProductTitle":"Round"}`))
				must(t, err)
				sets = append(sets, set)
			}
			must(t, server.Kill())
			out, err := server.Command("doctor")
			if err != nil {
				t.Fatalf("souk doctor: %v\n%s", err, out)
			}
			in.answer(http.StatusOK, "")
			must(t, server.Run())
			root = server.Root(t)
		}
		got, ends := map[string]bool{}, map[string]bool{}
		for len(ends) < len(sets) || len(got) < len(published) {
			n := in.next(t)
			if n.Type != "Notification" || in.times(n.Message) == 0 {
				continue
			}
			var event struct {
				Type    string `json:"detail-type"`
				Source  string
				Account string
				Detail  struct{ Catalog, ChangeSetId, ChangeSetName, StartTime, EndTime string }
			}
			if json.Unmarshal([]byte(n.Message), &event) != nil {
				got[n.Message] = true
				continue
			}
			if event.Type != "Change Set Succeeded" || n.Subject != event.Type || event.Source != "aws.marketplacecatalog" || event.Account != account || event.Detail.Catalog != "AWSMarketplace" || event.Detail.EndTime == "" {
				t.Errorf("got %+v", n)
			}
			ends[event.Detail.ChangeSetId] = true
		}
		for _, text := range published {
			if !got[text] {
				t.Errorf("%q did not come", text)
			}
		}
		for _, set := range sets {
			if !ends[set] {
				t.Errorf("the end of change set %s did not come", set)
			}
		}
	})
}

// TestEndsOfChangeSetsThatDoNotSucceed are published, too, with their code.
func TestEndsOfChangeSetsThatDoNotSucceed(t *testing.T) {
	t.Parallel()
	in, logos := newInbox(t, ""), souktest.ServeLogos(t)
	server := souktest.Start(t, souktest.Options{})
	root := server.Root(t)
	ctx := t.Context()
	aws := commandLine{souktest.NewAWS(t, t.TempDir()), root, "us-east-1"}
	topic := aws.ok(t, "create-topic", "--name", "ends", "--query", "TopicArn", "--output", "text")
	aws.ok(t, "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", in.address)
	visit(t, http.DefaultClient, in.next(t).SubscribeURL)
	product, err := root.Draft(ctx, "Ends") // its end is not published
	must(t, err)
	aws.ok(t, "set-topic-attributes", "--topic-arn", topic, "--attribute-name", "ChangeSetEvents", "--attribute-value", "true")

	want := func(kind, set, code string) {
		t.Helper()
		n := in.next(t)
		var event struct {
			Type      string `json:"detail-type"`
			Resources []string
			Detail    struct{ ChangeSetId, FailureCode string }
		}
		must(t, json.Unmarshal([]byte(n.Message), &event))
		if event.Type != kind || event.Detail.ChangeSetId != set || event.Detail.FailureCode != code || len(event.Resources) != 1 || !strings.HasSuffix(event.Resources[0], ":AWSMarketplace/ChangeSet/"+set) {
			t.Errorf("got %s, want %s of %s", n.Message, kind, set)
		}
	}
	set, err := root.Start(ctx, seller.Change("ReleaseProduct", product, "{}")) // it lacks nearly everything
	must(t, err)
	want("Change Set Failed", set, "CLIENT_ERROR")
	set, err = root.Start(ctx, seller.Change("UpdateInformation", product, `{"LogoUrl":"`+logos.Slow("ends")+`"}`))
	must(t, err)
	<-logos.Asked("ends")
	_, err = root.Catalog.CancelChangeSet(ctx, &marketplacecatalog.CancelChangeSetInput{Catalog: awssdk.String(seller.Catalog), ChangeSetId: &set})
	must(t, err)
	want("Change Set Cancelled", set, "")
	logos.Release("ends")

	aws.ok(t, "set-topic-attributes", "--topic-arn", topic, "--attribute-name", "ChangeSetEvents", "--attribute-value", "false")
	_, err = root.Draft(ctx, "Not published")
	must(t, err)
	aws.ok(t, "publish", "--topic-arn", topic, "--message", "the last one")
	if n := in.next(t); n.Message != "the last one" {
		t.Errorf("got %s", n.Message)
	}
}
