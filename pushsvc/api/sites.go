package api

import "time"

// Site is a site of the server: one that the configuration names, or that something is
// stored of.
type Site struct {
	Site          string `json:"site"`
	Subscriptions int64  `json:"subscriptions"`
	// Messages is how many are kept.
	Messages int64 `json:"messages"`
	Profiles int64 `json:"profiles"`
	// Configured is true where the server's configuration names the site.
	Configured bool `json:"configured"`
	// OtherNames are former names, under which visitors still come to it.
	OtherNames []string `json:"otherNames,omitempty"`
	// Coming is true while rows move here from another name.
	Coming bool `json:"coming,omitempty"`
	// Now is the site that visitors of this one come to, by the configuration.
	Now string `json:"now,omitempty"`
}

// SiteList is the answer of GET /webpush/sites.
type SiteList struct {
	Sites []Site `json:"sites"`
}

// SiteContents is what is kept of a site.
type SiteContents struct {
	Site          string `json:"site"`
	Subscriptions int64  `json:"subscriptions"`
	Messages      int64  `json:"messages"`
	// Unfinished are those of the messages that are not sent or cancelled yet.
	Unfinished int64 `json:"unfinished"`
	Profiles   int64 `json:"profiles"`
	// EventNames are the events that are counted for the site.
	EventNames int64 `json:"eventNames"`
	Popups     int64 `json:"popups"`
	Uploads    int64 `json:"uploads"`
	Settings   int64 `json:"settings"`
	// Configured is true where the server's configuration names the site.
	Configured bool `json:"configured"`
	// OtherNameOf is the site whose other name this is; nothing is kept under it.
	OtherNameOf string `json:"otherNameOf,omitempty"`
}

// SiteRemoved is the answer to the removal of a site.
type SiteRemoved struct {
	SiteContents
	// Removed is false for a dry run.
	Removed bool `json:"removed"`
}

// SiteMoveRequest renames a site, or merges it into another.
type SiteMoveRequest struct {
	// Into is the site's new name, or the site that it becomes a part of.
	Into   string `json:"into" api:"required"`
	DryRun bool   `json:"dryRun,omitempty"`
}

// SiteMoving is what becomes, or would become, of a site that gets another name.
type SiteMoving struct {
	From SiteContents `json:"from"`
	Into SiteContents `json:"into"`
	// Shared is how many endpoints are subscribed at both: each becomes one.
	Shared int64 `json:"shared"`
	// Popups are new ids of pop-ups of From; they are paused.
	Popups map[string]string `json:"popups,omitempty"`
	// Moved counts what has come over so far.
	Moved SiteMoved `json:"moved,omitzero"`
	// Running is true while more comes.
	Running bool `json:"running"`
	DryRun  bool `json:"dryRun,omitempty"`
}

// SiteMoved counts what has come over from a site to another.
type SiteMoved struct {
	Subscriptions int64 `json:"subscriptions"`
	// Joined subscriptions have an endpoint that both sites had.
	Joined   int64 `json:"joined"`
	Messages int64 `json:"messages"`
	Profiles int64 `json:"profiles"`
	// JoinedProfiles became part of a profile that was there.
	JoinedProfiles int64 `json:"joinedProfiles"`
	Popups         int64 `json:"popups"`
	Uploads        int64 `json:"uploads"`
	Settings       int64 `json:"settings"`
}

// FailureCounts is why visitors' browsers could not be subscribed.
type FailureCounts struct {
	// Since is when counting began.
	Since    time.Time        `json:"since"`
	Failures map[string]int64 `json:"failures"`
}

// Health is the answer of a store that works.
type Health struct {
	Healthy bool `json:"healthy"`
}

// Compacted is the size of the store's file, in bytes.
type Compacted struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}
