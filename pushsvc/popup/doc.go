// Package popup has the pop-ups that operators put on a site: what one holds, whether it
// is valid, what its variants change, and what a Store of them promises.
package popup
