// Package onsite decides which pop-up a visitor sees: where, when, how often and
// in which variant. All of it is pure: no clock, no store, no network. What the
// page can know as well is decided by web/src/shared/onsite.ts too, and both
// are tested by testdata/cases.json.
package onsite

import (
	// Zones are known on machines without a time zone database too.
	_ "time/tzdata"
)
