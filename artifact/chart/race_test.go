//go:build race

package chart

// The race detector's own allocator dies with words of its own when memory ends.
const raceDetector = true
