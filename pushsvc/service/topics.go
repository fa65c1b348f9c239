package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// noSubscribers is a warning.
const noSubscribers = "the site has no subscriber at present: the message reaches none"

// maxTopicLook is how many subscriptions are read to check the topics of a
// message: some 0.2 s.
const maxTopicLook = 100_000

// topicNames are a site's topics: id → whether a subscriber has chosen it.
type topicNames map[string]bool

// siteTopics returns the topics that the site's visitors can choose now.
func (s *Service) siteTopics(site string) topicNames {
	names := topicNames{}
	if s.Configured == nil {
		return names
	}
	for _, t := range s.promptView(site, s.live().Prompt(site)).Settings.Topics {
		names[t.ID] = false
	}
	return names
}

func (n topicNames) add(sub *pushsvc.Subscription) {
	for _, id := range sub.Topics {
		n[id] = true
	}
}

// warnings returns a warning for each topic without a subscriber, with the
// nearest known one. If only a part of the subscribers was read, it warns only of
// topics that visitors can't choose either.
func (n topicNames) warnings(topics []string, partly bool) (warnings []string) {
	for _, id := range topics {
		chosen, offered := n[id]
		if chosen || offered && partly {
			continue
		}
		text := fmt.Sprintf("no subscriber has chosen the topic %q", id)
		others := slices.Sorted(maps.Keys(n))
		others = slices.DeleteFunc(others, func(other string) bool { return other == id })
		switch near := pushsvc.Nearest(id, others); {
		case offered:
		case near != "":
			text += pushsvc.DidYouMean("; ", near)
		case len(others) > 0:
			text += fmt.Sprintf("; the site has %s", strings.Join(others[:min(len(others), 2*pushsvc.MaxTopics)], ", "))
		default:
			text += "; the site has no topics"
		}
		warnings = append(warnings, text)
	}
	return warnings
}

// audienceWarnings warns of topics that leave a stored message without
// recipients. A read error is no reason to refuse a stored message.
func (s *Service) audienceWarnings(ctx context.Context, m *pushsvc.Message) []string {
	if m.Only != 0 || m.State.Final() {
		return nil
	}
	if m.Progress.Audience == 0 {
		return []string{noSubscribers}
	}
	if len(m.Topics) == 0 {
		return nil
	}
	known, looked := s.siteTopics(m.Site), 0
	missing := func() bool { return slices.ContainsFunc(m.Topics, func(id string) bool { return !known[id] }) }
	err := s.each(ctx, m.Site, func(sub *pushsvc.Subscription) error {
		known.add(sub)
		if looked++; looked >= maxTopicLook || !missing() {
			return errEnough
		}
		return nil
	})
	switch {
	case err == nil:
		return known.warnings(m.Topics, false)
	case errors.Is(err, errEnough):
		return known.warnings(m.Topics, true)
	}
	s.log().WarnContext(ctx, "looking for the topics of a message", "site", m.Site, "error", err)
	return nil
}

// errEnough stops a read of subscriptions.
var errEnough = errors.New("enough has been seen")
