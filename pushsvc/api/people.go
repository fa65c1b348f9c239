package api

import (
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// Profile is a person in a list.
type Profile struct {
	ID         string            `json:"id"`
	Identities []people.Identity `json:"identities"`
	Created    time.Time         `json:"created"`
	Seen       time.Time         `json:"seen"`
	Devices    int               `json:"devices"`
	Visits     int64             `json:"visits"`
	Events     int64             `json:"events"`
	Attributes map[string]any    `json:"attributes,omitempty"`
}

// ProfileList is a page of a site's profiles, the oldest first.
type ProfileList struct {
	Profiles []Profile `json:"profiles"`
	// Next is the cursor of the next page; missing at the end.
	Next   string       `json:"next,omitempty"`
	Counts PeopleCounts `json:"counts"`
}

// PeopleCounts are the numbers that a site keeps about its people.
type PeopleCounts struct {
	Profiles   int64 `json:"profiles"`
	Anonymous  int64 `json:"anonymous"`
	EventNames int64 `json:"eventNames"`
	// RefusedProfiles, RefusedEvents and RefusedLogins were beyond a bound, or
	// not signed.
	RefusedProfiles int64 `json:"refusedProfiles"`
	RefusedEvents   int64 `json:"refusedEvents"`
	RefusedLogins   int64 `json:"refusedLogins"`
	// RefusedEntries could not be read, or were more than one batch may cost.
	RefusedEntries int64 `json:"refusedEntries"`
	// RefusedReports on pop-ups were more than one browser may make.
	RefusedReports int64 `json:"refusedReports,omitempty"`
	// EvictedProfiles and EvictedEvents made room for others.
	EvictedProfiles int64 `json:"evictedProfiles,omitempty"`
	EvictedEvents   int64 `json:"evictedEvents,omitempty"`
}

// IdentityRequest names a person. It is in the body, because addresses are logged.
type IdentityRequest struct {
	// Identity is "<kind>:<value>", or a value alone, which is the site's own or an
	// e-mail address; for a search also a part of a profile's id.
	Identity string `json:"identity" api:"required"`
}

// Erased is how many profiles were erased.
type Erased struct {
	Erased int `json:"erased"`
}

// PurgeRequest selects the profiles to erase.
type PurgeRequest struct {
	// Where is an expression in the form of pop-ups' audiences (CEL). It is required, so that its
	// omission does not select all profiles.
	Where string `json:"where" api:"required"`
	// DryRun counts and erases nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// After is the Next of an earlier answer.
	After string `json:"after,omitempty"`
}

// Purged is the result for a part of a site's profiles.
type Purged struct {
	Looked  int64 `json:"looked"`
	Matched int64 `json:"matched"`
	Erased  int64 `json:"erased"`
	// Next is where to continue; missing at the end.
	Next string `json:"next,omitempty"`
}

// ProfileExport is everything that is stored about one person, as data for that person. It has no
// keys of subscriptions and no secrets.
type ProfileExport struct {
	people.Profile
	HistoryEvents []people.EventRecord      `json:"historyEvents"`
	Subscriptions []ProfileExportSubscribed `json:"subscriptions"`
}

// ProfileExportSubscribed is a subscription of a person's, without its secrets.
type ProfileExportSubscribed struct {
	ID       pushsvc.SubscriptionID `json:"id"`
	Service  string                 `json:"service"`
	Created  time.Time              `json:"created"`
	Seen     time.Time              `json:"seen"`
	Language string                 `json:"language,omitempty"`
	TimeZone string                 `json:"timeZone,omitempty"`
	Page     string                 `json:"page,omitempty"`
}

// EventList is the events of a site, and its numbers about people.
type EventList struct {
	Events []people.EventSummary `json:"events"`
	Counts PeopleCounts          `json:"counts"`
}
