package operator

import (
	"encoding/base64"
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// viewProfile returns a person as lists show it.
func viewProfile(p people.Profile) api.Profile {
	v := api.Profile{
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

func profileList(sum people.Summary, rows []people.Profile) api.ProfileList {
	list := api.ProfileList{Profiles: []api.Profile{}, Counts: api.PeopleCounts(sum.Counts)}
	for _, p := range rows {
		list.Profiles = append(list.Profiles, viewProfile(p))
	}
	return list
}

// givenIdentity reads the identity that a request names. It is in the body, because logs contain
// addresses.
func (o *Operator) givenIdentity(w http.ResponseWriter, r *http.Request) (string, error) {
	var in api.IdentityRequest
	if err := o.decode(w, r, &in); err != nil {
		return "", err
	}
	if in.Identity == "" {
		return "", api.FieldProblem("identity", `is missing: give one such as "ann@example.com" or "identity:42"`)
	}
	return in.Identity, nil
}

// searchProfiles finds the profile with an identity; without such a profile, the profiles whose ids begin
// or end with the text.
func (o *Operator) searchProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	given, err := o.givenIdentity(w, r)
	if err != nil {
		return err
	}
	found, err := o.service.FindProfiles(r.Context(), sum, given)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, profileList(sum, found))
	return nil
}

// listProfiles lists a site's profiles.
func (o *Operator) listProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	if r.URL.Query().Has("identity") {
		return api.FieldProblem("identity", "is not accepted in an address, because logs contain addresses: POST it to …/profiles/search")
	}
	after, err := base64.RawURLEncoding.DecodeString(r.FormValue("cursor"))
	if err != nil || len(after) != 0 && len(after) != 36 {
		return api.FieldProblem("cursor", `is not the "next" of an earlier page`)
	}
	page, err := o.service.ProfilePage(r.Context(), sum.Site, string(after), limit)
	if err != nil {
		return err
	}
	list := profileList(sum, page)
	if len(page) == limit {
		list.Next = base64.RawURLEncoding.EncodeToString([]byte(page[limit-1].ID))
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

// exportProfile returns everything that is stored about one person.
func (o *Operator) exportProfile(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	p, err := o.service.ExportPerson(r.Context(), sum.Site, r.PathValue("id"))
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, p)
	return nil
}

func (o *Operator) eraseProfile(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	if err := o.service.ErasePerson(r.Context(), sum.Site, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// eraseIdentity erases all profiles that have or claim an identity.
func (o *Operator) eraseIdentity(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	given, err := o.givenIdentity(w, r)
	if err != nil {
		return err
	}
	erased, err := o.service.EraseIdentities(r.Context(), sum.Site, given)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.Erased{Erased: erased})
	return nil
}

func (o *Operator) listEvents(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	events, err := o.service.Events(r.Context(), sum.Site)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.EventList{Events: events, Counts: api.PeopleCounts(sum.Counts)})
	return nil
}
