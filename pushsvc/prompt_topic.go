package pushsvc

import (
	"fmt"
	"strings"
)

// PromptTopic is something that a visitor can choose to hear of.
type PromptTopic struct {
	ID string `json:"id"`
	// Label is the text of its check box.
	Label string `json:"label"`
	// Checked is whether the box is at first.
	Checked bool `json:"checked,omitempty"`
}

// maxTopicLabel is in bytes: labels are in every page's script.
const maxTopicLabel = 500

func validateTopics(topics []PromptTopic) error {
	if len(topics) > MaxTopics {
		return &FieldError{"topics", fmt.Sprintf("takes at most %d topics", MaxTopics)}
	}
	seen := make(map[string]bool)
	for _, t := range topics {
		switch {
		case !isTopicID(t.ID):
			return &FieldError{"topics", fmt.Sprintf("%q is no id of a topic; write it with at most %d letters, digits, - and _", t.ID, MaxTopicID)}
		case seen[t.ID]:
			return &FieldError{"topics", fmt.Sprintf("%q is given twice", t.ID)}
		case strings.TrimSpace(t.Label) == "":
			return &FieldError{"topics", fmt.Sprintf("%q has no label; write it like: %s \"News\"", t.ID, t.ID)}
		case len(t.Label) > maxTopicLabel:
			return &FieldError{"topics", fmt.Sprintf("the label of %q is longer than %d bytes", t.ID, maxTopicLabel)}
		}
		seen[t.ID] = true
	}
	return nil
}
