package api

import "time"

// Site is a site of the server: one that the configuration names, or that has stored data.
type Site struct {
	Site          string `json:"site"`
	Subscriptions int64  `json:"subscriptions"`
	// Messages is how many are stored.
	Messages int64 `json:"messages"`
	Profiles int64 `json:"profiles"`
	// Configured is true if the server's configuration names the site.
	Configured bool `json:"configured"`
	// OtherNames are former names that visitors still use.
	OtherNames []string `json:"otherNames,omitempty"`
	// Coming is true while rows move here from another name.
	Coming bool `json:"coming,omitempty"`
	// Now is the site to which the configuration now sends this one's visitors.
	Now string `json:"now,omitempty"`
}

// SiteList is the answer of GET /webpush/sites.
type SiteList struct {
	Sites []Site `json:"sites"`
}

// SiteContents counts the stored data of a site.
type SiteContents struct {
	Site          string `json:"site"`
	Subscriptions int64  `json:"subscriptions"`
	Messages      int64  `json:"messages"`
	// Unfinished is how many of the messages are not sent or cancelled yet.
	Unfinished int64 `json:"unfinished"`
	Profiles   int64 `json:"profiles"`
	// EventNames is how many events are counted for the site.
	EventNames int64 `json:"eventNames"`
	Popups     int64 `json:"popups"`
	Uploads    int64 `json:"uploads"`
	Settings   int64 `json:"settings"`
	// Configured is true if the server's configuration names the site.
	Configured bool `json:"configured"`
	// OtherNameOf is the site whose other name this is; nothing is stored under it.
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

// SiteMoving is the result, or the expected result, for a site that is renamed or merged.
type SiteMoving struct {
	From SiteContents `json:"from"`
	Into SiteContents `json:"into"`
	// Shared is how many endpoints are subscribed at both: each becomes one.
	Shared int64 `json:"shared"`
	// Popups are new ids of pop-ups of From; they are paused.
	Popups map[string]string `json:"popups,omitempty"`
	// Moved counts the rows that have been moved so far.
	Moved SiteMoved `json:"moved,omitzero"`
	// Running is true while rows are still being moved.
	Running bool `json:"running"`
	DryRun  bool `json:"dryRun,omitempty"`
}

// SiteMoved counts the rows that were moved from one site to another.
type SiteMoved struct {
	Subscriptions int64 `json:"subscriptions"`
	// Joined subscriptions have an endpoint that both sites had.
	Joined   int64 `json:"joined"`
	Messages int64 `json:"messages"`
	Profiles int64 `json:"profiles"`
	// JoinedProfiles became part of an existing profile.
	JoinedProfiles int64 `json:"joinedProfiles"`
	Popups         int64 `json:"popups"`
	Uploads        int64 `json:"uploads"`
	Settings       int64 `json:"settings"`
}

// FailureCounts are the reasons why visitors' browsers could not be subscribed, with their counts.
type FailureCounts struct {
	// Since is when counting began.
	Since    time.Time        `json:"since"`
	Failures map[string]int64 `json:"failures"`
}

// Health is the answer if the store works.
type Health struct {
	Healthy bool `json:"healthy"`
}

// Compacted is the size of the store's file, in bytes.
type Compacted struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}
