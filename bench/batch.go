package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	// inBatch is how many entities a batch asks for: as many as it may.
	inBatch = 20
	// batchOfDescribe is the rate of batches, at least, beside that of single
	// calls: a batch costs less than 6 of them.
	batchOfDescribe = 1.0 / 6
)

// batches measures BatchDescribeEntities beside DescribeEntity, in turns.
func (b *bench) batches(ctx context.Context, d database, c *catalogue) error {
	var batches, singles [][]byte
	few := min(c.n, 1000) // both ask for the same entities, so that caches serve both alike
	for i := range few {
		ids, first := make([]string, inBatch), rand.IntN(few)
		for j := range ids {
			ids[j] = fmt.Sprintf(`{"Catalog":"AWSMarketplace","EntityId":%q}`, productID((first+j)%few))
		}
		body := `{"EntityRequestList":[` + strings.Join(ids, ",") + `]}`
		if i == 0 {
			err := wholeBatch(ctx, c, body)
			if err != nil {
				return err
			}
		}
		batch, err := signed(ctx, c.root, "POST", "/BatchDescribeEntities", body)
		if err != nil {
			return err
		}
		single, err := signed(ctx, c.root, "GET", "/DescribeEntity?catalog=AWSMarketplace&entityId="+productID(rand.IntN(few)), "")
		if err != nil {
			return err
		}
		batches, singles = append(batches, batch), append(singles, single)
	}
	beside := fmt.Sprintf("%s: DescribeEntity beside batches, %d entities", d.name, c.n)
	var lanes []lane
	for _, l := range []struct {
		name     string
		requests [][]byte
	}{{beside, singles}, {fmt.Sprintf("%s: BatchDescribeEntities of %d, %d entities", d.name, inBatch, c.n), batches}} {
		warm := load{address: c.root.Host(), connections: connections, endless: true, requests: l.requests, duration: b.window / 4}
		_, err := warm.run() // once for the caches
		if err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
		lanes = append(lanes, lane{warm, l.name, c.PID()})
	}
	err := b.measure(lanes...)
	if err != nil {
		return err
	}
	b.table.least(beside, batchOfDescribe)
	return nil
}

// wholeBatch sends a batch and says whether every entity was in its answer.
func wholeBatch(ctx context.Context, c *catalogue, body string) error {
	a, err := c.root.Raw(ctx, "POST", "/BatchDescribeEntities", body)
	if err != nil {
		return err
	}
	var got struct{ EntityDetails, Errors map[string]json.RawMessage }
	err = json.Unmarshal([]byte(a.Body), &got)
	if a.Status != 200 || err != nil || len(got.Errors) > 0 || len(got.EntityDetails) != inBatch {
		return fmt.Errorf("a batch of %d entities is answered with status %d: %.300s", inBatch, a.Status, a.Body)
	}
	return nil
}
