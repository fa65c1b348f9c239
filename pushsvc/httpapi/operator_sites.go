package httpapi

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

// removeSite removes all that is kept of a site, or says what that would be.
func (o *Operator) removeSite(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := queryFlag(r, "dry_run")
	if err != nil {
		return err
	}
	force, err := queryFlag(r, "force")
	if err != nil {
		return err
	}
	var kept service.SiteContents
	if dryRun {
		kept, err = o.service.SiteContents(r.Context(), r.PathValue("site"))
	} else {
		kept, err = o.service.RemoveSite(r.Context(), r.PathValue("site"), force)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		service.SiteContents
		Removed bool `json:"removed"`
	}{kept, !dryRun})
	return nil
}

// purgeProfiles erases those of a part of a site's profiles whom an expression means.
func (o *Operator) purgeProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	var in service.PurgeRequest
	if err := o.decode(w, r, &in); err != nil {
		return err
	}
	if in.After != "" && len(in.After) != 36 {
		return badField("after", `is not one that an earlier answer gave as "next"`)
	}
	out, err := o.service.PurgeProfiles(r.Context(), sum.Site, in)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// moveBody is where a site's rows go.
type moveBody struct {
	Into   string `json:"into"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// moveSite gives a site another name, or says what would come of that.
func (o *Operator) moveSite(merge bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in moveBody
		if err := o.decode(w, r, &in); err != nil {
			return err
		}
		if in.Into == "" {
			return badField("into", `is missing: it is the name that the site gets, such as "shop.example.com"`)
		}
		out, err := o.service.MoveSite(r.Context(), r.PathValue("site"), in.Into, merge, in.DryRun)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	}
}
