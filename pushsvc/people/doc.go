// Package people holds what a site knows about its visitors: profiles, their devices and identities,
// attributes, events, and what they did with pop-ups. Apply decides what a batch from a browser changes; a
// Store reads, calls it and writes.
package people
