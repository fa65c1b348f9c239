// Package popup has the pop-ups that operators put on a site: their content, validation and variants, and the
// contract of a Store of them.
package popup
