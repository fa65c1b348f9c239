// Package prompt has the settings of the question that asks a visitor for permission:
// when it comes, how it looks, which texts and topics it has.
package prompt
