package prompt

import (
	"fmt"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Topic is a subject that a visitor can choose to hear about.
type Topic struct {
	ID string `json:"id" api:"required"`
	// Label is the text of its check box.
	Label string `json:"label" api:"required"`
	// Checked is the box's initial state.
	Checked bool `json:"checked,omitempty"`
}

// maxTopicLabel is in bytes: labels are in every page's script.
const maxTopicLabel = 500

func validateTopics(topics []Topic) error {
	if len(topics) > pushsvc.MaxTopics {
		return &pushsvc.FieldError{Field: "topics", Problem: fmt.Sprintf("takes at most %d topics", pushsvc.MaxTopics)}
	}
	seen := make(map[string]bool)
	for _, t := range topics {
		switch {
		case !pushsvc.IsTopicID(t.ID):
			return &pushsvc.FieldError{Field: "topics", Problem: fmt.Sprintf("%q is not the id of a topic; write it with at most %d letters, digits, - and _", t.ID, pushsvc.MaxTopicID)}
		case seen[t.ID]:
			return &pushsvc.FieldError{Field: "topics", Problem: fmt.Sprintf("%q is given twice", t.ID)}
		case strings.TrimSpace(t.Label) == "":
			return &pushsvc.FieldError{Field: "topics", Problem: fmt.Sprintf("%q has no label; write it like: %s \"News\"", t.ID, t.ID)}
		case len(t.Label) > maxTopicLabel:
			return &pushsvc.FieldError{Field: "topics", Problem: fmt.Sprintf("the label of %q is longer than %d bytes", t.ID, maxTopicLabel)}
		}
		seen[t.ID] = true
	}
	return nil
}
