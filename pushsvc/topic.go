package pushsvc

import (
	"fmt"
	"slices"
	"strings"
)

// A site's topics are what its visitors can choose to hear about. They are named by ids; the site's
// configuration has their labels.
const (
	// MaxTopics is the maximum number of topics of a site, a subscription, and a message.
	MaxTopics = 10
	// MaxTopicID is the maximum length of an id in bytes.
	MaxTopicID = 64
)

// IsTopicID reports whether s has the form of a topic's id: letters, digits, - and _, at most MaxTopicID of
// them.
func IsTopicID(s string) bool {
	return s != "" && len(s) <= MaxTopicID && strings.Trim(s, base64URLAlphabet) == ""
}

// CleanTopics returns the valid ids, sorted, each once, at most MaxTopics. Invalid ids from outside are
// dropped: they are no reason to lose a subscriber. Nil stays nil.
func CleanTopics(ids []string) []string {
	if ids == nil {
		return nil
	}
	out := make([]string, 0, min(len(ids), MaxTopics))
	for _, id := range ids {
		if IsTopicID(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), MaxTopics)]
}

// CheckTopics returns a *FieldError for the first invalid topic of a message.
func CheckTopics(ids []string) error {
	if len(ids) > MaxTopics {
		return &FieldError{"topics", fmt.Sprintf("has more than %d entries", MaxTopics)}
	}
	for i, id := range ids {
		if !IsTopicID(id) {
			return &FieldError{fmt.Sprintf("topics[%d]", i), fmt.Sprintf("is not the id of a topic: at most %d letters, digits, - and _", MaxTopicID)}
		}
	}
	return nil
}

// IsFor reports whether the message is for the subscription: a message with topics is for those that have
// chosen any of them, one without topics is for all.
func (m *Message) IsFor(s *Subscription) bool {
	return len(m.Topics) == 0 || slices.ContainsFunc(m.Topics, func(id string) bool { return slices.Contains(s.Topics, id) })
}
