package main

// pipelineOfFloor2 is what a request may cost the server, of what floor 2 costs,
// at most. PostgreSQL is asked over a connection, which floor 2 has nothing of:
// its ratio is shown, and has no target.
const pipelineOfFloor2 = 1.6

// pipeline adds a row with the processor time of the whole way of a request
// (signature, policy, rate, work, record), beside that of floor 2.
func (b *bench) pipeline(database, souk, floor2 string) {
	floor := database + ": server CPU of floor 2 of DescribeEntity"
	b.table.add(floor, float64(b.used[floor2].Nanoseconds())/1e3, "µs", "")
	b.table.add(database+": server CPU of DescribeEntity: signature, policy, rate, work, record", float64(b.used[souk].Nanoseconds())/1e3, "µs", "")
	if database == "sqlite" {
		b.table.most(floor, pipelineOfFloor2)
		return
	}
	b.table.least(floor, 0)
}
