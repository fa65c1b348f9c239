// Package people is what a site knows of its visitors: profiles, the devices and
// identities that lead to them, attributes, events, and what they did with pop-ups.
// Apply decides what a batch from a browser changes; a Store reads, calls it, and writes.
package people
