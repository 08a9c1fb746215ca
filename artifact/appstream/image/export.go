package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// TaskState is the state of an export task (AppStream API reference,
// "ExportImageTask").
type TaskState string

// The states of export tasks.
const (
	Exporting   TaskState = "EXPORTING"
	Completed   TaskState = "COMPLETED"
	TaskFailed  TaskState = "FAILED"
	TaskTimeout TaskState = "TIMED_OUT"
)

// Task is an export task: an image becomes a machine image of the account's. The id
// of that is reserved, and its name held, from the beginning.
type Task struct {
	ID              string // a UUID
	Account, Region string
	Image           string // its name
	ImageID         string
	ImageARN        string
	AMIName         string
	AMI             string        // its id; shown when it is there
	Description     string        `json:",omitempty"`
	Tags            resource.Tags `json:",omitempty"`
	State           TaskState
	Errors          []TaskError `json:",omitempty"`
	Created         time.Time   // UTC, whole milliseconds
	Updated         time.Time   // of its state

	Base  images.Content
	Codes []string `json:",omitempty"`
	Tries int      `json:",omitempty"` // begun and not ended
}

// TaskError says why an export task made nothing (AppStream API reference,
// "ErrorDetails"; its codes are in no document).
type TaskError struct{ Code, Message string }

// Codes of a TaskError.
const (
	TaskImageGone = "ImageNotAvailable"
	TaskTimedOut  = "TimedOut"
	TaskInternal  = "InternalError"
)

// ExportRequest asks for a machine image of an image.
type ExportRequest struct {
	Account, Region string
	Image           string
	Name            string // of the AMI
	Role            string // ARN
	Description     string
	Tags            resource.Tags

	// Begins, if set, is told of the task before it is stored.
	Begins func(t *Task)
}

// Export begins an export task. Errors: those that the model binds to
// CreateExportImageTask.
//
// AppStream API reference, "CreateExportImageTask".
func (r *Images) Export(ctx context.Context, q ExportRequest) (*Task, error) {
	i, err := r.private(ctx, q.Account, q.Region, q.Image)
	if err != nil {
		return nil, err
	}
	if i.State != Available {
		return nil, notAvailable(i)
	}
	err = q.Tags.Check()
	if err != nil {
		return nil, err
	}
	err = images.Registration{Name: q.Name, Description: q.Description}.CheckWords()
	var wrong *images.Invalid
	if errors.As(err, &wrong) {
		return nil, apierror.New("ValidationException", "The %s of the AMI is not valid: %s.", strings.ToLower(wrong.Field), wrong.Reason)
	}
	may := []string{"ec2:CopyImage", "*", "ec2:DescribeImages", "*"}
	if len(q.Tags) > 0 {
		may = append(may, "ec2:CreateTags", "*")
	}
	err = r.checkRole(ctx, q.Account, q.Role, may...)
	if err != nil {
		return nil, err
	}
	_, err = r.config.Store.Get(ctx, images.NameKey(q.Account, q.Name))
	if err == nil {
		return nil, nameTaken(q.Name)
	}
	if !missing(err) {
		return nil, fmt.Errorf("looking for the name %q: %w", q.Name, err)
	}
	t := &Task{
		Account: q.Account, Region: q.Region, Image: i.Name, ImageID: i.ID, ImageARN: i.ARN, AMIName: q.Name, Description: q.Description, Tags: q.Tags,
		State: Exporting, Created: r.now(), Base: i.content(), Codes: i.Codes,
	}
	t.Updated = t.Created
	t.ID, err = r.newTaskID()
	if err != nil {
		return nil, err
	}
	t.AMI, err = r.config.AMIs.NewID()
	if err != nil {
		return nil, err
	}
	w, err := t.write(0)
	if err != nil {
		return nil, err
	}
	w.Due = r.exports.Now()
	batch := store.Batch{
		Expect: []store.Expectation{i.Unchanged()},
		Put:    []store.Write{w, images.Hold(t.Account, t.AMIName, t.AMI, w.Key)},
	}
	most := r.limits(t.Account).Exports
	if most >= 0 {
		batch.Bounds = []store.Bound{{Kind: KindTask, Index: indexOpen, Partition: t.Account, Most: most}}
	}
	if q.Begins != nil {
		q.Begins(t)
	}
	err = r.config.Store.Commit(ctx, batch)
	var conflict *store.Conflict
	switch {
	case errors.Is(err, store.ErrLimit):
		return nil, apierror.New("LimitExceededException", "The account has %d export tasks under way, and may have no more at a time.", most)
	case errors.As(err, &conflict) && conflict.Key == i.Key():
		return nil, resource.Concurrent("image", i.Name)
	case errors.As(err, &conflict) && conflict.Key.Kind == images.KindName:
		return nil, nameTaken(q.Name)
	case err != nil:
		return nil, fmt.Errorf("storing export task %s: %w", t.ID, err)
	}
	r.observeTask(t)
	r.exports.Wake()
	return t, nil
}

func nameTaken(name string) error {
	return apierror.New("OperationNotPermittedException", "The account has an AMI with the name %s already.", name)
}

// Indexes of tasks.
const (
	indexAll  = "all"  // partition ACCOUNT/REGION; by the time of the start
	indexOpen = "open" // partition ACCOUNT: those that are EXPORTING
)

// Names of filters of ListExportImageTasks. The reference names none.
const (
	filterState     = "State"
	filterImageName = "ImageName"
	filterImageARN  = "ImageArn"
	filterAMIName   = "AmiName"
	filterTask      = "TaskId"
)

// facts are what filters compare.
func (t *Task) facts() map[string]string {
	return map[string]string{filterState: string(t.State), filterImageName: t.Image, filterImageARN: t.ImageARN, filterAMIName: t.AMIName, filterTask: t.ID}
}

// write is the write of a task that is stored as revision was.
func (t *Task) write(was int64) (store.Write, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding export task %s: %w", t.ID, err)
	}
	cover, err := json.Marshal(t.facts())
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding export task %s: %w", t.ID, err)
	}
	d := store.Document{Key: store.Key{Kind: KindTask, ID: t.ID}, Body: body, Summary: body}
	sort := fmt.Sprintf("%015d", t.Created.UnixMilli())
	d.Index = []store.Entry{{Index: indexAll, Partition: resource.Place(t.Account, t.Region), Sort: sort, Cover: cover}}
	if t.State == Exporting {
		d.Index = append(d.Index, store.Entry{Index: indexOpen, Partition: t.Account, Sort: sort})
	}
	return store.Write{Document: d, Was: was}, nil
}

func decodeTask(d store.Document) (*Task, error) {
	body := d.Body
	if body == nil {
		body = d.Summary
	}
	t := &Task{}
	err := json.Unmarshal(body, t)
	if err != nil {
		return nil, fmt.Errorf("decoding export task %s: %w", d.ID, err)
	}
	return t, nil
}

var formOfTask = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Task returns an export task of an account. ResourceNotFoundException.
//
// AppStream API reference, "GetExportImageTask".
func (r *Images) Task(ctx context.Context, account, region, id string) (*Task, error) {
	missing := apierror.New("ResourceNotFoundException", "The export task %s for account %s does not exist.", id, account)
	if !formOfTask.MatchString(id) {
		return nil, missing
	}
	d, err := r.config.Store.Get(ctx, store.Key{Kind: KindTask, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, fmt.Errorf("reading export task %s: %w", id, err)
	}
	t, err := decodeTask(d)
	if err == nil && (t.Account != account || t.Region != region) {
		return nil, missing
	}
	return t, err
}

// Filter is a filter of a TaskQuery: any of its values will do.
type Filter struct {
	Name   string
	Values []string
}

// TaskQuery says which export tasks Tasks returns: those of the account in the
// region that meet all filters.
type TaskQuery struct {
	Account, Region string
	Filters         []Filter
	MaxResults      *int // 0 to 500; 0 and nil are 50
	NextToken       *string
}

// Bounds of a page of tasks (AppStream API reference, "ListExportImageTasks").
const (
	mostTasks = 500
	anyTasks  = 50
)

// Tasks returns export tasks, the newest first, and the token of the next page. A
// page may be short, or empty, and have a token. OperationNotPermittedException for
// a filter that there is not.
//
// AppStream API reference, "ListExportImageTasks".
func (r *Images) Tasks(ctx context.Context, q TaskQuery) (tasks []*Task, next string, err error) {
	names := slices.Sorted(maps.Keys((&Task{}).facts()))
	question := []string{q.Account, q.Region}
	for _, f := range q.Filters {
		if !slices.Contains(names, f.Name) {
			return nil, "", apierror.New("OperationNotPermittedException", "There is no filter %s: a filter is %s.", f.Name, strings.Join(names, ", "))
		}
		question = append(append(question, "/", f.Name), f.Values...)
	}
	at, err := r.taskTokens().Open(q.NextToken, question...)
	if err != nil {
		return nil, "", err
	}
	most := anyTasks
	if q.MaxResults != nil {
		most = min(cmp.Or(*q.MaxResults, anyTasks), mostTasks)
	}
	walk := store.Query{Kind: KindTask, Index: indexAll, Partition: resource.Place(q.Account, q.Region), Backward: true, Limit: most}
	walk.After.Sort, walk.After.ID, _ = strings.Cut(at, "/")
	if len(q.Filters) > 0 {
		walk.Match = func(_, _ string, cover []byte) bool {
			var facts map[string]string
			return json.Unmarshal(cover, &facts) == nil && !slices.ContainsFunc(q.Filters, func(f Filter) bool {
				return !slices.Contains(f.Values, facts[f.Name])
			})
		}
	}
	page, err := r.config.Store.List(ctx, walk)
	if err != nil {
		return nil, "", fmt.Errorf("listing export tasks of %s: %w", q.Account, err)
	}
	for _, d := range page.Documents {
		t, err := decodeTask(d)
		if err != nil {
			return nil, "", err
		}
		tasks = append(tasks, t)
	}
	if page.More {
		next = r.taskTokens().Seal(page.Next.Sort+"/"+page.Next.ID, question...)
	}
	return tasks, next, nil
}

// doTask works on an export task: the handler of the runner. It is work while it
// is under way, and at last when it is old enough to be forgotten.
func (r *Images) doTask(ctx context.Context, w *work.Task) {
	log := r.config.Log.With("task", w.ID)
	t, err := decodeTask(w.Document)
	if err != nil {
		log.Error("appstream: an export task can't be read", "error", err)
		return
	}
	if t.State == Exporting {
		err = r.export(ctx, w, t)
	} else {
		err = r.forget(ctx, w, t)
	}
	if err != nil && !errors.Is(err, work.ErrLost) && !errors.Is(err, store.ErrConflict) {
		log.Error("appstream: an export could not be gone on with, and will be later", "error", err)
	}
}

// export tries an export.
func (r *Images) export(ctx context.Context, w *work.Task, t *Task) error {
	late := r.now().Sub(t.Created) > r.config.ExportTime
	if late {
		return r.endTask(ctx, w, t, TaskTimeout, TaskError{TaskTimedOut, fmt.Sprintf("The export was not done within %s.", r.config.ExportTime)})
	}
	if t.Tries >= maxTries {
		return r.endTask(ctx, w, t, TaskFailed, TaskError{TaskInternal, fmt.Sprintf("The export was begun %d times and never came to its end.", t.Tries)})
	}
	t.Tries++
	err := r.putTask(ctx, w, t, w.Owner, w.Lease())
	if err != nil {
		return err
	}
	var batch store.Batch
	err = w.Hold(ctx, func() (store.Write, error) { return t.write(0) }, func(ctx context.Context) error {
		var err error
		batch, err = r.exported(ctx, t)
		return err
	})
	switch {
	case errors.Is(err, work.ErrLost):
		return err
	case err != nil && ctx.Err() != nil:
		t.Tries--
		return r.putTask(ctx, w, t, "", r.exports.Now())
	case errors.Is(err, images.ErrNoImage), errors.Is(err, images.ErrBadImage):
		return r.endTask(ctx, w, t, TaskFailed, TaskError{TaskImageGone, "The image can't be read: " + err.Error()})
	case err != nil && t.Tries >= maxTries:
		return errors.Join(err, r.endTask(ctx, w, t, TaskFailed, TaskError{TaskInternal, fmt.Sprintf("The export failed %d times by no fault of its own; start it again later.", t.Tries)}))
	case err != nil:
		return errors.Join(err, r.putTask(ctx, w, t, "", r.exports.Now().Add(time.Duration(t.Tries)*backOff)))
	}
	t.State, t.Updated, t.Tries = Completed, r.now(), 0
	return r.finishTask(ctx, w, t, batch)
}

// exported makes the bytes of the AMI and returns the batch that makes its record.
func (r *Images) exported(ctx context.Context, t *Task) (store.Batch, error) {
	err := r.config.AMIs.Whole(ctx, t.Base.Place)
	if err != nil {
		return store.Batch{}, err
	}
	source := t.Base.AMI()
	source.ProductCodes = t.Codes
	_, batch, err := r.config.Export(ctx, images.Derivation{
		ID: t.AMI, Account: t.Account, Name: t.AMIName, Description: t.Description, Source: source, Origin: "export of " + t.ImageARN,
	})
	return batch, err
}

// endTask ends a task that made nothing.
func (r *Images) endTask(ctx context.Context, w *work.Task, t *Task, s TaskState, why TaskError) error {
	t.State, t.Updated, t.Tries, t.Errors = s, r.now(), 0, append(t.Errors, why)
	return r.finishTask(ctx, w, t, store.Batch{Delete: []store.Removal{images.Free(t.Account, t.AMIName)}})
}

// finishTask commits an end.
func (r *Images) finishTask(ctx context.Context, w *work.Task, t *Task, batch store.Batch) error {
	put, err := t.write(w.Revision)
	if err != nil {
		return err
	}
	put.Due = t.Updated.Add(r.config.History)
	batch.Put = append(batch.Put, put)
	err = r.config.Store.Commit(context.WithoutCancel(ctx), batch)
	if err != nil {
		return fmt.Errorf("ending export task %s: %w", t.ID, err)
	}
	w.Revision++
	r.config.Log.Info("appstream: export", "task", t.ID, "account", t.Account, "image", t.Image, "ami", t.AMI, "state", t.State)
	r.observeTask(t)
	return nil
}

// forget removes a task that has ended long ago.
func (r *Images) forget(ctx context.Context, w *work.Task, t *Task) error {
	if until := t.Updated.Add(r.config.History); r.exports.Now().Before(until) { // history is longer than it was
		return r.putTask(ctx, w, t, "", until)
	}
	err := r.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Delete: []store.Removal{{Key: w.Key, Was: w.Revision}}})
	if err != nil {
		return fmt.Errorf("forgetting export task %s: %w", t.ID, err)
	}
	return nil
}

// putTask writes a task that stays work, of an owner until due.
func (r *Images) putTask(ctx context.Context, w *work.Task, t *Task, owner string, due time.Time) error {
	put, err := t.write(w.Revision)
	if err != nil {
		return err
	}
	put.Owner, put.Due = owner, due
	err = r.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{put}})
	if err != nil {
		return fmt.Errorf("writing export task %s: %w", t.ID, err)
	}
	w.Revision++
	w.Due = due
	return nil
}

func (r *Images) observeTask(t *Task) {
	if r.config.Observe == nil {
		return
	}
	e := Event{Image: t.ID, Task: true, State: string(t.State)}
	if n := len(t.Errors); n > 0 {
		e.Code = t.Errors[n-1].Code
	}
	r.config.Observe(e)
}
