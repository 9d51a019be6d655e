package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-5b48bd9d/drydock/pkg/link"
	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/source"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

// sending is a run that brings images to the target from where they lie, and
// makes no layouts.
type sending struct {
	*moveFlags
	verb           string
	location, dest string
	unpack         string      // the directory that an archive is unpacked in; empty: beside it
	layouts        bool        // the source has to hold layouts
	graft          *graftFlags // nil where blobs are sent
	method         link.Method // how they get into the target's storage

	session  *session
	request  *request
	forecast forecast
	grafting *grafting
}

// send does all of it, or foresees it.
func (a *app) send(ctx context.Context, o *sending) (err error) {
	if o.request, err = a.prepare(ctx, o.location, o.dest, o.moveFlags); err != nil {
		return err
	}
	o.request.rules.Untagged = o.request.rules.Untagged || o.layouts // whatever has a layout was chosen when it was made
	o.forecast.create = o.createProject
	v := verb{name: o.verb, findings: true, source: o.location, target: o.dest, images: o.dryRun, targets: true, closing: o.lines}
	if o.session, err = a.newSession(v, &o.runFlags); err != nil {
		return err
	}
	c := &conversion{session: o.session, dir: unpackDir(o.unpack, o.location), hash: true}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	src, x, err := c.read(ctx, o.location, &o.sourceFlags, &o.selectFlags, o.dryRun)
	if err != nil {
		return err
	}
	defer src.Close()
	if o.layouts && !holdsLayouts(src) {
		return report.WithHint(usageError{fmt.Errorf("%s is a registry's storage and no layouts", o.location)}, "drydock migrate SOURCE DEST moves it")
	}
	if o.graft != nil {
		o.grafting = o.session.newGrafting(o.graft, o.readData, o.method, src, x)
	}
	if o.dryRun {
		o.forecast.grafting = o.grafting
		return o.session.plan(ctx, x, o.request, &o.forecast)
	}
	whole, err := o.push(ctx, src, x)
	if err != nil && ctx.Err() == nil {
		return err
	}
	c.finished = err == nil
	return o.session.close(ctx, whole)
}

// push plans, and pushes the images of the plan. It tells whether that is all that
// was asked for.
func (o *sending) push(ctx context.Context, src source.Source, x *storage.Index) (whole bool, err error) {
	t, p, err := o.session.planFor(ctx, x, o.request)
	if err != nil {
		return false, err
	}
	if err := o.grafting.begin(t); err != nil {
		return false, err
	}
	err = o.session.tellRefused(p, t.host()+"/")
	if err == nil {
		err = o.session.pushAll(ctx, t, p, src, x, o.request)
	}
	return p.Whole(), errors.Join(err, o.grafting.end())
}

func (o *sending) lines(s report.Summary) []string {
	host := o.request.to.Host
	switch {
	case o.dryRun:
		return o.forecast.lines(s, host)
	case o.grafting == nil:
		return closePush(s, host)
	}
	return append(append(closePush(s, host), o.grafting.lines(s)...), closeVerified(s))
}
