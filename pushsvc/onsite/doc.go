// Package onsite decides which pop-up a visitor sees: where, when, how often and in which variant. All of it
// is pure: no clock, no store, no network. web/src/shared/onsite.ts decides what the page can know too; both
// are tested against testdata/cases.json.
package onsite

import (
	// Zones are known on machines without a time zone database too.
	_ "time/tzdata"
)
