package product

// Regions returns the AWS Regions that products can be available in, in the
// order of the documentation's example, those that it lacks at the end.
func Regions() []string { return lines(regions) }

// atFirst is how many of them a new product is in: those of that example.
const atFirst = 18
