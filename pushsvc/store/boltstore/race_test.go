//go:build race

package boltstore

// The race detector makes the committer's work several times slower.
func init() { worstCommit *= 12 }
