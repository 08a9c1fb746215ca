package product

// Regions returns the AWS Regions that products can be available in, in the
// order of the documentation's example.
func Regions() []string { return lines(regions) }
