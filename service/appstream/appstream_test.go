package appstream

import (
	"context"
	"errors"
	"testing"

	"souk/gateway"
	"souk/gateway/apierror"
)

func TestNoRoom(t *testing.T) {
	t.Parallel()
	if _, err := Service(Config{}); err == nil {
		t.Error("a service without operations was made")
	}
}

func TestExceptionThatIsNotBoundGoesOutAsAFailureOfOurs(t *testing.T) {
	t.Parallel()
	fails := func(code string) error {
		a := act(gateway.Def[struct{}, *struct{}]{
			Name: "StopImageBuilder",
			Authorize: func(context.Context, *gateway.Caller, *struct{}) ([]question, error) {
				return nil, apierror.New(code, "No.")
			},
			Call: func(context.Context, *gateway.Caller, *struct{}) (*struct{}, error) {
				return nil, apierror.New(code, "No.")
			},
		})
		_, first := a.operation.Authorize(t.Context(), nil, new(struct{}))
		_, second := a.operation.Call(t.Context(), nil, new(struct{}))
		var e *apierror.Error
		if errors.As(first, &e) != errors.As(second, &e) {
			t.Errorf("%s: %v before the call and %v in it", code, first, second)
		}
		return second
	}
	for code, shown := range map[string]bool{
		"ResourceNotFoundException":       true,
		"ConcurrentModificationException": true,
		"ValidationException":             true,
		"LimitExceededException":          false, // of other operations
		"NoSuchException":                 false,
	} {
		if got := apierror.Is(fails(code), code); got != shown {
			t.Errorf("%s reaches the client: %v, want %v", code, got, shown)
		}
	}
}
