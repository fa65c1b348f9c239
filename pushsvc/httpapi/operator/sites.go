package operator

import (
	"net/http"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

// removeSite removes all stored data of a site, or in a dry run counts it.
func (o *Operator) removeSite(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := queryFlag(r, "dryRun")
	if err != nil {
		return err
	}
	force, err := queryFlag(r, "force")
	if err != nil {
		return err
	}
	var kept api.SiteContents
	if dryRun {
		kept, err = o.service.SiteContents(r.Context(), r.PathValue("site"))
	} else {
		kept, err = o.service.RemoveSite(r.Context(), r.PathValue("site"), force)
	}
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.SiteRemoved{SiteContents: kept, Removed: !dryRun})
	return nil
}

// purgeProfiles erases the profiles in a part of a site that an expression selects.
func (o *Operator) purgeProfiles(w http.ResponseWriter, r *http.Request) error {
	sum, err := o.service.People(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	var in api.PurgeRequest
	if err := o.decode(w, r, &in); err != nil {
		return err
	}
	if in.After != "" && len(in.After) != 36 {
		return api.FieldProblem("after", `is not the "next" of an earlier answer`)
	}
	out, err := o.service.PurgeProfiles(r.Context(), sum.Site, in)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, out)
	return nil
}

// moveSite renames a site, or in a dry run reports the changes.
func (o *Operator) moveSite(merge bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in api.SiteMoveRequest
		if err := o.decode(w, r, &in); err != nil {
			return err
		}
		if in.Into == "" {
			return api.FieldProblem("into", `is missing: it is the new name of the site, such as "shop.example.com"`)
		}
		out, err := o.service.MoveSite(r.Context(), r.PathValue("site"), in.Into, merge, in.DryRun)
		if err != nil {
			return err
		}
		exchange.WriteJSON(w, http.StatusOK, out)
		return nil
	}
}

// failures reports why the browsers of a site's visitors could not be subscribed.
func (o *Operator) failures(w http.ResponseWriter, r *http.Request) error {
	name, err := pushsvc.SiteName(r.PathValue("site"))
	if err != nil {
		return api.FieldProblem("site", err.Error())
	}
	counts := api.FailureCounts{Failures: map[string]int64{}}
	if o.Failures != nil {
		counts = o.Failures.Counts(name)
	}
	exchange.WriteJSON(w, http.StatusOK, counts)
	return nil
}
