package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Request asks for a build.
type Request struct {
	Account     string
	Region      string
	Token       string   // ClientToken; "": none
	Options     []string // FulfillmentOptionIds, in the order in which they are installed
	Source      string   // SourceImageId
	Name        string   // DestinationImageName
	Description string   // DestinationImageDescription
	Topic       string   // SnsTopicArn; "": none

	// Begins, if set, is told of the build before it is stored: so a record of the
	// request can be stored with it.
	Begins func(b *Build)
}

// mostOptions bounds what one build installs.
const mostOptions = 10

// Start stores a build and hands it to the workers. A refused request stores
// nothing; but where two requests at a time want the last build that the account
// may have, or one name, the one that is refused may have obtained its options. With a token that was used before for the same request it returns the
// build of that. The errors that a caller may see are *apierror.Error, under the
// names of the Image Build Service's model.
func (b *Builds) Start(ctx context.Context, r Request) (*Build, error) {
	tokenKey, input := r.token()
	known, err := b.known(ctx, tokenKey, input)
	if known != nil || err != nil {
		return known, err
	}
	err = checkWords(r)
	if err != nil {
		return nil, err
	}
	err = b.nameFree(ctx, r)
	if err != nil {
		return b.unlessKnown(ctx, err, tokenKey, input)
	}
	options, err := b.options(ctx, r)
	if err != nil {
		return nil, err
	}
	source, err := b.source(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		why, err := b.config.Mismatch(ctx, o, source)
		if err != nil {
			return nil, err
		}
		if why != "" {
			return nil, apierror.New("InstallerMismatchException", "The fulfillment option %s can't be installed on %s: %s.", o.ID, source.ID, why)
		}
	}
	if r.Topic != "" {
		err := b.config.Topic(ctx, r.Account, r.Topic)
		if errors.Is(err, ErrNoTopic) {
			return nil, apierror.New("InvalidSnsTopicArnException", "The SNS topic '%s' does not exist in this account.", r.Topic)
		}
		if err != nil {
			return nil, err
		}
	}
	full, err := b.full(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	if full {
		return b.unlessKnown(ctx, tooMany(b.config.Open(r.Account)), tokenKey, input)
	}
	build, err := b.begin(r, tokenKey.ID, options, source)
	if err != nil {
		return nil, err
	}
	// What is obtained stays so: this comes behind all that refuses, but what
	// another request does in the same moment.
	for _, o := range options {
		err := b.config.Obtained(ctx, r.Account, o)
		if err != nil {
			return nil, fmt.Errorf("writing down that account %s obtains %s: %w", r.Account, o.ID, err)
		}
	}
	if r.Begins != nil {
		r.Begins(build)
	}
	return b.commit(ctx, build, tokenKey, input)
}

// checkWords looks at what needs no look elsewhere.
func checkWords(r Request) error {
	err := images.Registration{Name: r.Name, Description: r.Description}.CheckWords()
	var wrong *images.Invalid
	switch {
	case errors.As(err, &wrong) && wrong.Field == "Name":
		return apierror.New("InvalidDestinationImageNameException",
			"The image name must have 3-128 alphanumeric characters, parentheses (()), square brackets ([]), spaces ( ), periods (.), slashes (/), dashes (-), single quotes ('), at-signs (@), or underscores(_).")
	case errors.As(err, &wrong):
		return apierror.New("ValidationException", "DestinationImageDescription: %s.", wrong.Reason)
	case err != nil:
		return err
	case len(r.Options) == 0:
		return apierror.New("InvalidFulfillmentOptionIdException", "At least one fulfillment option id is needed.")
	case len(r.Options) > mostOptions:
		return apierror.New("InvalidFulfillmentOptionIdException", "At most %d fulfillment options can be installed by one build.", mostOptions)
	}
	return nil
}

// nameFree refuses a name that an image of the account has, or will have.
func (b *Builds) nameFree(ctx context.Context, r Request) error {
	_, err := b.config.Store.Get(ctx, images.NameKey(r.Account, r.Name))
	if err == nil {
		return nameTaken(r.Name)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("looking for the name %q: %w", r.Name, err)
	}
	return nil
}

func nameTaken(name string) error {
	return apierror.New("InvalidDestinationImageNameException", "The account has an image, or a build in progress, with the name '%s'.", name)
}

// options finds what is to be installed.
func (b *Builds) options(ctx context.Context, r Request) ([]Option, error) {
	var all []Option
	for i, id := range r.Options {
		if slices.Contains(r.Options[:i], id) {
			return nil, apierror.New("InvalidFulfillmentOptionIdException", "The fulfillment option '%s' is given more than once.", id)
		}
		o, err := b.config.Option(ctx, r.Account, id)
		var denied *Denied
		switch {
		case errors.Is(err, ErrNoOption):
			return nil, apierror.New("InvalidFulfillmentOptionIdException", "The fulfillment option '%s' does not exist.", id)
		case errors.As(err, &denied):
			return nil, apierror.New("InvalidFulfillmentOptionIdException", "The fulfillment option '%s' can't be obtained: %s.", id, denied.Reason)
		case err != nil:
			return nil, fmt.Errorf("finding fulfillment option %s: %w", id, err)
		}
		all = append(all, o)
	}
	return all, nil
}

// source finds the image on which is installed, and that it can be read.
func (b *Builds) source(ctx context.Context, r Request) (images.AMI, error) {
	refuse := func(format string, args ...any) (images.AMI, error) {
		return images.AMI{}, apierror.New("InvalidSourceImageIdException", "The source image '%s' "+format, append([]any{r.Source}, args...)...)
	}
	a, err := b.config.Images.Find(ctx, r.Account, r.Source)
	var denied *images.Denied
	switch {
	case errors.As(err, &denied):
		return refuse("can't be used: %s.", denied.Reason)
	case errors.Is(err, images.ErrNotFound):
		return refuse("does not exist.")
	case err != nil:
		return images.AMI{}, err
	case a.State != images.StateAvailable:
		return refuse("is not available, but %s.", a.State)
	}
	_, err = b.config.Images.Layers(ctx, a.Repository, a.Digest)
	if errors.Is(err, images.ErrNoImage) || errors.Is(err, images.ErrBadImage) {
		return refuse("can't be read: its layers are gone.")
	}
	if err != nil {
		return images.AMI{}, fmt.Errorf("looking at the image of %s: %w", a.ID, err)
	}
	return a, nil
}

// begin makes the record of a build.
func (b *Builds) begin(r Request, token string, options []Option, source images.AMI) (*Build, error) {
	id, err := b.newID()
	if err != nil {
		return nil, err
	}
	ami, err := b.config.Images.NewID()
	if err != nil {
		return nil, err
	}
	now := b.now()
	return &Build{
		ID: id, Account: r.Account, Region: r.Region, Options: options, Source: source,
		Destination: Destination{ami, r.Name, r.Description}, Topic: r.Topic,
		Status: InProgress, Started: now, Updated: now, Token: token,
	}, nil
}

// commit stores a build with its token, the name of its image, and the message
// that it was started.
func (b *Builds) commit(ctx context.Context, build *Build, token store.Key, input string) (*Build, error) {
	w, err := build.write(0)
	if err != nil {
		return nil, err
	}
	w.Owner, w.Due = b.runner.Lease()
	batch := store.Batch{Put: []store.Write{w, images.Hold(build.Account, build.Destination.Name, build.Destination.ID, w.Key)}}
	if most := b.config.Open(build.Account); most >= 0 {
		batch.Bounds = []store.Bound{{Kind: Kind, Index: indexOpen, Partition: build.Account, Most: most}}
	}
	if token.ID != "" {
		body, err := json.Marshal(tokenBody{input, build.ID})
		if err != nil {
			return nil, fmt.Errorf("encoding the token of build %s: %w", build.ID, err)
		}
		batch.Put = append(batch.Put, store.Write{Document: store.Document{Key: token, Body: body}})
	}
	err = b.announce(build, &batch)
	if err != nil {
		return nil, err
	}
	err = b.config.Store.Commit(ctx, batch)
	var conflict *store.Conflict
	switch {
	case err == nil:
	case errors.Is(err, store.ErrLimit):
		return b.unlessKnown(ctx, tooMany(b.config.Open(build.Account)), token, input)
	case errors.As(err, &conflict):
		refusal := fmt.Errorf("storing build %s: %w", build.ID, err)
		if conflict.Key.Kind == images.KindName {
			refusal = nameTaken(build.Destination.Name)
		}
		return b.unlessKnown(ctx, refusal, token, input)
	default:
		// Written or not? The id is no other build's.
		if _, read := b.config.Store.Get(ctx, w.Key); read != nil {
			return nil, fmt.Errorf("storing build %s: %w", build.ID, err)
		}
	}
	b.config.Log.Info("builds: started", "build", build.ID, "account", build.Account, "source", build.Source.ID, "image", build.Destination.ID)
	b.observe(build, Started)
	w.Document.Revision = 1
	b.runner.Hand(w.Document, nil)
	return build, nil
}

// full says whether an account has as many builds in progress as it may. The
// commit of a build asks again: others may be started meanwhile.
func (b *Builds) full(ctx context.Context, account string) (bool, error) {
	most := b.config.Open(account)
	if most <= 0 {
		return most == 0, nil
	}
	page, err := b.config.Store.List(ctx, store.Query{Kind: Kind, Index: indexOpen, Partition: account, Limit: most})
	if err != nil {
		return false, fmt.Errorf("counting the builds of %s: %w", account, err)
	}
	return len(page.Documents) >= most, nil
}

func tooMany(most int) error {
	return apierror.New("BuildLimitExceededException", "The account has %d builds in progress, and may have no more at a time.", most)
}

// unlessKnown refuses a request, unless its token was used meanwhile: what stands
// in its way may be the build of the same request, sent twice at a time.
func (b *Builds) unlessKnown(ctx context.Context, refusal error, token store.Key, input string) (*Build, error) {
	known, err := b.known(ctx, token, input)
	if known != nil || err != nil {
		return known, err
	}
	return nil, refusal
}

// announce adds the message on a build's status to a batch.
func (b *Builds) announce(build *Build, batch *store.Batch) error {
	if build.Topic == "" {
		return nil
	}
	told, err := b.config.Announce(build)
	if err != nil {
		return fmt.Errorf("announcing build %s: %w", build.ID, err)
	}
	batch.Put = append(batch.Put, told...)
	return nil
}

// tokenBody is what a token was used for.
type tokenBody struct {
	Input string // hash of the request
	Build string
}

// token is the document of a request's token, the zero Key if it has none, and
// what two requests with one token must have in common.
func (r Request) token() (key store.Key, input string) {
	if r.Token == "" {
		return store.Key{}, ""
	}
	sum := sha256.Sum256([]byte(r.Token))
	text, err := json.Marshal(struct {
		Options                          []string
		Source, Name, Description, Topic string
	}{r.Options, r.Source, r.Name, r.Description, r.Topic})
	if err != nil {
		panic("build: " + err.Error()) // texts can be encoded
	}
	of := sha256.Sum256(text)
	return store.Key{Kind: KindToken, ID: place(r.Account, r.Region) + "/" + hex.EncodeToString(sum[:])}, hex.EncodeToString(of[:])
}

// known is the build that a token was used for, nil if it was not used.
func (b *Builds) known(ctx context.Context, token store.Key, input string) (*Build, error) {
	if token.ID == "" {
		return nil, nil
	}
	d, err := b.config.Store.Get(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading token %s: %w", token.ID, err)
	}
	var t tokenBody
	err = json.Unmarshal(d.Body, &t)
	if err != nil {
		return nil, fmt.Errorf("decoding token %s: %w", token.ID, err)
	}
	if t.Input != input {
		return nil, apierror.New("IdempotentParameterMismatchException", "The ClientToken was used before with other parameters.")
	}
	d, err = b.config.Store.Get(ctx, store.Key{Kind: Kind, ID: t.Build})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // it is being forgotten with its token
	}
	if err != nil {
		return nil, fmt.Errorf("reading build %s: %w", t.Build, err)
	}
	return decode(d)
}
