// Package prompt has the settings of the prompt that asks a visitor for permission: when it shows, its look,
// texts and topics.
package prompt
