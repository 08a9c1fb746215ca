package control

import "souk/access/quota"

// Quotas is what souk quota list shows.
type Quotas struct {
	Defaults map[string]float64 // requests per second, by "service.Operation"
	Changed  []quota.Setting
}
