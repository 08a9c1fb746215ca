package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
)

// lists checks ListEntities and ListChangeSets.
func lists() []Check {
	return []Check{
		{"list/entities", "Pages of entities hold each entity once, in the order that was asked for.", listEntities},
		{"list/entities-filters", "Entities are found by id, name and visibility.", filterEntities},
		{"list/change-sets", "Pages of change sets hold each once; filters and times find them.", listChangeSets},
		{"list/page-token", "A page token is good for its own query only, and not when it was altered.", pageTokens},
		{"list/other-scope", "Nothing is shared: the scope SharedWithMe is empty.", sharedScope},
	}
}

// several makes n drafts with titles of which unique is a part and returns
// their ids in the order of their titles.
func (v *Visit) several(ctx context.Context, n int) ([]string, error) {
	changes := make([]types.Change, 0, n)
	for i := range n {
		changes = append(changes, seller.Change("CreateProduct", "", seller.JSON(map[string]string{"ProductTitle": v.titleOf(i)})))
	}
	set, err := v.Do(ctx, changes...)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, n)
	for _, c := range set.ChangeSet {
		ids = append(ids, seller.EntityID(c))
	}
	return ids, nil
}

func (v *Visit) titleOf(i int) string { return fmt.Sprintf("Listed %s %02d", v.Unique, i) }

func listEntities(ctx context.Context, v *Visit) error {
	ids, err := v.several(ctx, 7)
	if err != nil {
		return err
	}
	account, err := v.Account(ctx)
	if err != nil {
		return err
	}
	for _, order := range []types.SortOrder{types.SortOrderAscending, types.SortOrderDescending} {
		for _, by := range []string{"Name", "EntityId", "LastModifiedDate", "Visibility"} {
			pages := marketplacecatalog.NewListEntitiesPaginator(v.Catalog, &marketplacecatalog.ListEntitiesInput{
				Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"),
				MaxResults: aws.Int32(3), Sort: &types.Sort{SortBy: &by, SortOrder: order},
				FilterList: []types.Filter{{Name: aws.String("EntityId"), ValueList: ids}},
			})
			var got, keys []string
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return fmt.Errorf("ListEntities by %s: %w", by, err)
				}
				v.Want(len(page.EntitySummaryList) <= 3, "by %s: a page of %d, want at most 3", by, len(page.EntitySummaryList))
				for _, e := range page.EntitySummaryList {
					got = append(got, aws.ToString(e.EntityId))
					keys = append(keys, map[string]string{
						"Name": aws.ToString(e.Name), "EntityId": aws.ToString(e.EntityId),
						"LastModifiedDate": aws.ToString(e.LastModifiedDate), "Visibility": aws.ToString(e.Visibility),
					}[by])
					v.Want(aws.ToString(e.EntityType) == "ContainerProduct", "EntityType is %q", aws.ToString(e.EntityType))
					v.Want(aws.ToString(e.EntityArn) == "arn:aws:aws-marketplace:us-east-1:"+account+":AWSMarketplace/ContainerProduct/"+aws.ToString(e.EntityId), "EntityArn is %q", aws.ToString(e.EntityArn))
					v.Want(aws.ToString(e.Visibility) == "Draft", "Visibility is %q, want Draft", aws.ToString(e.Visibility))
				}
			}
			if order == types.SortOrderDescending {
				slices.Reverse(keys)
			}
			v.Want(slices.IsSorted(keys), "by %s, %s: the order is %v", by, order, keys)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(ids))
			v.Want(slices.Equal(got, want), "by %s, %s: got %v, want %v", by, order, got, want)
		}
	}
	return nil
}

func filterEntities(ctx context.Context, v *Visit) error {
	ids, err := v.several(ctx, 2)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		filters []types.Filter
		want    []string
	}{
		{[]types.Filter{filter("EntityId", ids[1])}, ids[1:]},
		{[]types.Filter{filter("Name", v.titleOf(0))}, ids[:1]},
		{[]types.Filter{filter("Name", v.titleOf(0)), filter("Visibility", "Draft")}, ids[:1]},
		{[]types.Filter{filter("Name", v.titleOf(0)), filter("Visibility", "Public")}, nil},
		{[]types.Filter{filter("EntityId", ids...), filter("Name", v.titleOf(1))}, ids[1:]},
	} {
		out, err := v.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
			Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"), FilterList: c.filters,
		})
		if err != nil {
			return fmt.Errorf("ListEntities: %w", err)
		}
		var got []string
		for _, e := range out.EntitySummaryList {
			got = append(got, aws.ToString(e.EntityId))
		}
		v.Want(slices.Equal(got, c.want), "filters %s: got %v, want %v", names(c.filters), got, c.want)
	}
	return nil
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, ValueList: values}
}

// names shows filters in findings.
func names(filters []types.Filter) string {
	var b strings.Builder
	for _, f := range filters {
		fmt.Fprintf(&b, "%s=%v ", aws.ToString(f.Name), f.ValueList)
	}
	return strings.TrimSpace(b.String())
}

func listChangeSets(ctx context.Context, v *Visit) error {
	product, err := v.Draft(ctx, "Sets "+v.Unique)
	if err != nil {
		return err
	}
	var ids []string
	name := "Sets of " + v.Unique
	for i := range 5 {
		out, err := v.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
			Catalog: aws.String(seller.Catalog), ChangeSetName: &name,
			ChangeSet: []types.Change{seller.Change("UpdateInformation", product, fmt.Sprintf(`{"ShortDescription":"Number %d."}`, i))},
		})
		if err != nil {
			return fmt.Errorf("StartChangeSet: %w", err)
		}
		ids = append(ids, aws.ToString(out.ChangeSetId))
		_, err = v.Wait(ctx, aws.ToString(out.ChangeSetId))
		if err != nil {
			return err
		}
	}
	slices.Sort(ids)
	for _, filters := range [][]types.Filter{
		{filter("ChangeSetName", name)},
		{filter("EntityId", product), filter("ChangeSetName", name)},
		{filter("ChangeSetName", name), filter("Status", "SUCCEEDED", "FAILED")},
		{filter("ChangeSetName", name), filter("AfterStartTime", "2020-01-01T00:00:00Z")},
		{filter("ChangeSetName", name), filter("BeforeEndTime", "2120-01-01T00:00:00Z")},
	} {
		pages := marketplacecatalog.NewListChangeSetsPaginator(v.Catalog, &marketplacecatalog.ListChangeSetsInput{
			Catalog: aws.String(seller.Catalog), FilterList: filters, MaxResults: aws.Int32(2),
			Sort: &types.Sort{SortBy: aws.String("StartTime"), SortOrder: types.SortOrderAscending},
		})
		var got, started []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("ListChangeSets with %s: %w", names(filters), err)
			}
			for _, s := range page.ChangeSetSummaryList {
				got = append(got, aws.ToString(s.ChangeSetId))
				started = append(started, aws.ToString(s.StartTime))
				v.Want(slices.Equal(s.EntityIdList, []string{product}), "EntityIdList is %v, want %s", s.EntityIdList, product)
				v.Want(s.Status == types.ChangeStatusSucceeded, "Status is %s", s.Status)
			}
		}
		v.Want(slices.IsSorted(started), "with %s: the order is %v", names(filters), started)
		slices.Sort(got)
		v.Want(slices.Equal(got, ids), "with %s: got %v, want %v", names(filters), got, ids)
	}
	for _, filters := range [][]types.Filter{
		{filter("ChangeSetName", name), filter("Status", "CANCELLED")},
		{filter("ChangeSetName", name), filter("AfterStartTime", "2120-01-01T00:00:00Z")},
		{filter("ChangeSetName", name), filter("BeforeStartTime", "2020-01-01T00:00:00Z")},
	} {
		out, err := v.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog), FilterList: filters})
		if err != nil {
			return fmt.Errorf("ListChangeSets with %s: %w", names(filters), err)
		}
		v.Want(len(out.ChangeSetSummaryList) == 0, "with %s: got %d, want none", names(filters), len(out.ChangeSetSummaryList))
	}
	return nil
}

func pageTokens(ctx context.Context, v *Visit) error {
	_, err := v.several(ctx, 3)
	if err != nil {
		return err
	}
	in := marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"), MaxResults: aws.Int32(1),
		Sort: &types.Sort{SortBy: aws.String("Name"), SortOrder: types.SortOrderAscending},
	}
	out, err := v.Catalog.ListEntities(ctx, &in)
	if err != nil {
		return fmt.Errorf("ListEntities: %w", err)
	}
	token := aws.ToString(out.NextToken)
	if token == "" {
		return fmt.Errorf("a page of 1 among more has no NextToken")
	}
	v.Want(len(token) <= 2048, "the token has %d characters, want at most 2048", len(token))
	other := in
	other.NextToken, other.Sort = &token, &types.Sort{SortBy: aws.String("Name"), SortOrder: types.SortOrderDescending}
	_, err = v.Catalog.ListEntities(ctx, &other)
	v.WantError("a token with another sort", err, "ValidationException", "")
	for i := range 3 {
		at := len(token) * i / 3
		b := []byte(token)
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		altered := in
		altered.NextToken = aws.String(string(b))
		_, err = v.Catalog.ListEntities(ctx, &altered)
		v.WantError(fmt.Sprintf("a token altered at %d", at), err, "ValidationException", "")
	}
	_, err = v.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog), NextToken: &token})
	v.WantError("a token of ListEntities at ListChangeSets", err, "ValidationException", "")
	_, err = v.several(ctx, 2)
	if err != nil {
		return err
	}
	in.NextToken = &token
	_, err = v.Catalog.ListEntities(ctx, &in)
	v.Want(err == nil, "the token after two more products were made: %v", err)
	return nil
}

func sharedScope(ctx context.Context, v *Visit) error {
	_, err := v.several(ctx, 1)
	if err != nil {
		return err
	}
	entities, err := v.Catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(seller.Catalog), EntityType: aws.String("ContainerProduct"),
		FilterList: []types.Filter{filter("Scope", "SharedWithMe")},
	})
	if err != nil {
		return fmt.Errorf("ListEntities: %w", err)
	}
	v.Want(len(entities.EntitySummaryList) == 0, "%d entities are shared, want none", len(entities.EntitySummaryList))
	sets, err := v.Catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{
		Catalog: aws.String(seller.Catalog), FilterList: []types.Filter{filter("Scope", "SharedWithMe")},
	})
	if err != nil {
		return fmt.Errorf("ListChangeSets: %w", err)
	}
	v.Want(len(sets.ChangeSetSummaryList) == 0, "%d change sets are shared, want none", len(sets.ChangeSetSummaryList))
	return nil
}
