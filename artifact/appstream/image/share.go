package image

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"

	"souk/gateway/apierror"
)

// Permission is what an account may do with an image that is shared with it.
type Permission struct {
	Account string
	Permissions
}

// PermissionsQuery asks whom an image is shared with.
type PermissionsQuery struct {
	Account, Region string
	Name            string
	Accounts        []string // nil: all
	MaxResults      *int     // 0 to 500
	NextToken       *string
}

const mostPermissions = 500 // of a page

var formOfAccount = regexp.MustCompile(`^[0-9]{12}$`)

// private returns an image of an account's own that can be shared.
func (r *Images) private(ctx context.Context, account, region, name string) (Image, error) {
	i, err := r.own(ctx, account, region, name)
	if err == nil && i.Account == "" {
		return Image{}, notFound(name, account)
	}
	return i, err
}

// Permissions returns whom an image is shared with, in the order of their account
// ids, and the token of the next page. ResourceNotFoundException.
//
// AppStream API reference, "DescribeImagePermissions".
func (r *Images) Permissions(ctx context.Context, q PermissionsQuery) (page []Permission, next string, err error) {
	i, err := r.private(ctx, q.Account, q.Region, q.Name)
	if err != nil {
		return nil, "", err
	}
	question := append([]string{q.Account, q.Region, q.Name}, q.Accounts...)
	after, err := r.permissionTokens().Open(q.NextToken, question...)
	if err != nil {
		return nil, "", err
	}
	most := mostPermissions
	if q.MaxResults != nil {
		most = min(most, cmp.Or(*q.MaxResults, most))
	}
	for _, account := range slices.Sorted(maps.Keys(i.Shared)) {
		if account <= after || q.Accounts != nil && !slices.Contains(q.Accounts, account) {
			continue
		}
		if len(page) == most {
			return page, r.permissionTokens().Seal(page[most-1].Account, question...), nil
		}
		page = append(page, Permission{account, i.Shared[account]})
	}
	return page, "", nil
}

// Share lets an account use an image, or changes how it may. Errors:
// ResourceNotFoundException, ResourceNotAvailableException, LimitExceededException.
//
// AppStream API reference, "UpdateImagePermissions".
func (r *Images) Share(ctx context.Context, account, region, name, with string, p Permissions) error {
	_, err := r.private(ctx, account, region, name)
	if err != nil {
		return err
	}
	if !formOfAccount.MatchString(with) || with == account {
		return apierror.New("ValidationException", "SharedAccountId is '%s', and must be the 12 digits of another account.", with)
	}
	return r.change(ctx, account, region, name, func(i *Image) error {
		if i.State != Available {
			return notAvailable(*i)
		}
		shared := maps.Clone(i.Shared)
		if shared == nil {
			shared = map[string]Permissions{}
		}
		shared[with] = p
		if most := r.limits(account).Shared; most >= 0 && len(shared) > most {
			return apierror.New("LimitExceededException", "The image %s is shared with %d accounts, and can be with no more.", name, most)
		}
		i.Shared = shared
		return nil
	})
}

// Unshare ends that an account may use an image. Errors: ResourceNotFoundException
// (also where it is not shared with it), ResourceNotAvailableException.
//
// AppStream API reference, "DeleteImagePermissions".
func (r *Images) Unshare(ctx context.Context, account, region, name, with string) error {
	_, err := r.private(ctx, account, region, name)
	if err != nil {
		return err
	}
	return r.change(ctx, account, region, name, func(i *Image) error {
		if i.State != Available {
			return notAvailable(*i)
		}
		if _, ok := i.Shared[with]; !ok {
			return apierror.New("ResourceNotFoundException", "The image %s is not shared with account %s.", name, with)
		}
		i.Shared = maps.Clone(i.Shared)
		delete(i.Shared, with)
		return nil
	})
}
