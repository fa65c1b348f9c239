package httpapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// profileView is a person in a list.
type profileView struct {
	ID         string            `json:"id"`
	Identities []people.Identity `json:"identities"`
	Created    time.Time         `json:"created"`
	Seen       time.Time         `json:"seen"`
	Devices    int               `json:"devices"`
	Visits     int64             `json:"visits"`
	Events     int64             `json:"events"`
	Attributes map[string]any    `json:"attributes,omitempty"`
}

func viewProfile(p people.Profile) profileView {
	v := profileView{
		ID: p.ID, Identities: p.Identities, Created: p.Created, Seen: p.Seen,
		Devices: len(p.Devices), Visits: p.Visits, Attributes: p.Attributes,
	}
	if v.Identities == nil {
		v.Identities = []people.Identity{}
	}
	for _, e := range p.Events {
		v.Events += e.Count
	}
	return v
}

// profileList is what lists of people answer.
type profileList struct {
	Profiles []profileView `json:"profiles"`
	Next     string        `json:"next,omitempty"`
	Counts   people.Counts `json:"counts"`
}

// givenIdentity reads the identity that a request names. It is in the body:
// addresses are written to logs.
func (o *Operator) givenIdentity(w http.ResponseWriter, r *http.Request) (string, error) {
	var in struct {
		Identity string `json:"identity"`
	}
	if err := o.decode(w, r, &in); err != nil {
		return "", err
	}
	if in.Identity == "" {
		return "", badField("identity", `is missing: give one such as "ann@example.com" or "identity:42"`)
	}
	return in.Identity, nil
}

// searchProfiles finds the one who has an identity; where there is none, those whose ids
// begin or end with what is given.
func (o *Operator) searchProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	given, err := o.givenIdentity(w, r)
	if err != nil {
		return err
	}
	list := profileList{Profiles: []profileView{}, Counts: sum.Counts}
	switch p, err := o.personBy(r, sum.Site, given); {
	case err == nil:
		list.Profiles = append(list.Profiles, viewProfile(p))
	case !errors.Is(err, pushsvc.ErrNotFound):
		return err
	default:
		found, err := o.service.ProfilesByShortID(r.Context(), sum, given)
		if err != nil {
			return err
		}
		for _, p := range found {
			list.Profiles = append(list.Profiles, viewProfile(p))
		}
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// listProfiles lists a site's people.
func (o *Operator) listProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, limit, err := listed(r, o.service.People)
	if err != nil {
		return err
	}
	if r.URL.Query().Has("identity") {
		return badField("identity", "is not taken in an address, which logs have: POST it to …/profiles/search")
	}
	list := profileList{Profiles: []profileView{}, Counts: sum.Counts}
	after, err := base64.RawURLEncoding.DecodeString(r.FormValue("cursor"))
	if err != nil || len(after) != 0 && len(after) != 36 {
		return badField("cursor", `is not one that an earlier page gave as "next"`)
	}
	page, err := o.service.Store.ProfilePage(r.Context(), sum.Site, string(after), limit)
	if err != nil {
		return fmt.Errorf("listing profiles: %w", err)
	}
	for _, p := range page {
		list.Profiles = append(list.Profiles, viewProfile(p))
	}
	if len(page) == limit {
		list.Next = base64.RawURLEncoding.EncodeToString([]byte(page[limit-1].ID))
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// identitiesOf are those that an operator may mean: see personBy.
func identitiesOf(text string) (all []people.Identity) {
	kind, value, _ := strings.Cut(text, ":")
	for _, i := range []people.Identity{
		{Kind: people.IdentityKind(kind), Value: value},
		{Kind: people.IdentityID, Value: text},
		{Kind: people.IdentityEmail, Value: text},
	} {
		if clean, ok := i.Clean(); ok {
			all = append(all, clean)
		}
	}
	return all
}

// personBy finds who has the identity: "<kind>:<value>", or a value alone,
// which is the site's own or an e-mail address.
func (o *Operator) personBy(r *http.Request, site, identity string) (people.Profile, error) {
	for _, clean := range identitiesOf(identity) {
		p, err := o.service.Store.PersonBy(r.Context(), site, clean)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, pushsvc.ErrNotFound) {
			return p, fmt.Errorf("finding a profile: %w", err)
		}
	}
	return people.Profile{}, pushsvc.ErrNotFound
}

// exportProfile gives all that is kept of one person.
func (o *Operator) exportProfile(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	p, err := o.service.ExportPerson(r.Context(), sum.Site, r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

func (o *Operator) eraseProfile(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	if err := o.service.Store.ErasePerson(r.Context(), sum.Site, r.PathValue("id")); err != nil {
		return fmt.Errorf("erasing a profile: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// eraseIdentity erases all who have an identity or claim it.
func (o *Operator) eraseIdentity(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	given, err := o.givenIdentity(w, r)
	if err != nil {
		return err
	}
	erased := 0
	for _, identity := range identitiesOf(given) {
		n, err := o.service.EraseIdentity(r.Context(), sum.Site, identity)
		if err != nil {
			return err
		}
		erased += n
	}
	writeJSON(w, http.StatusOK, struct {
		Erased int `json:"erased"`
	}{erased})
	return nil
}

func (o *Operator) listEvents(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	events, err := o.service.Store.EventSummary(r.Context(), sum.Site)
	if err != nil {
		return fmt.Errorf("listing events: %w", err)
	}
	if events == nil {
		events = []people.EventSummary{}
	}
	writeJSON(w, http.StatusOK, struct {
		Events []people.EventSummary `json:"events"`
		Counts people.Counts         `json:"counts"`
	}{events, sum.Counts})
	return nil
}
