package push

import (
	"context"
	"errors"
	"fmt"

	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/types"

	"github.com/seed-5b48bd9d/drydock/pkg/plan"
)

// errPushOnly is what a reference answers when asked to read or delete.
var errPushOnly = errors.New("this reference can only be written to")

// imageReference is a place for an image in a Registry, as containers/image's
// interface has it. containers/image's own for registries would bring its
// client along.
type imageReference struct {
	r   *Registry
	ref plan.Reference
}

var _ types.ImageReference = imageReference{}

func (i imageReference) Transport() types.ImageTransport { return registryTransport{} }

func (i imageReference) StringWithinTransport() string {
	return "//" + i.r.base.Host + "/" + i.ref.String()
}

func (i imageReference) DockerReference() reference.Named {
	named, err := reference.ParseNormalizedNamed(i.r.base.Host + "/" + i.ref.String())
	if err != nil {
		return nil
	}
	return named
}

func (i imageReference) PolicyConfigurationIdentity() string {
	return i.r.base.Host + "/" + i.ref.String()
}

func (i imageReference) PolicyConfigurationNamespaces() []string {
	return []string{i.r.base.Host + "/" + i.ref.Repository, i.r.base.Host}
}

func (i imageReference) NewImage(context.Context, *types.SystemContext) (types.ImageCloser, error) {
	return nil, errPushOnly
}

func (i imageReference) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return nil, errPushOnly
}

func (i imageReference) NewImageDestination(context.Context, *types.SystemContext) (types.ImageDestination, error) {
	return i.r.Destination(i.ref), nil
}

func (i imageReference) DeleteImage(context.Context, *types.SystemContext) error { return errPushOnly }

// registryTransport is the transport of imageReference: docker's, by name.
type registryTransport struct{}

func (registryTransport) Name() string { return "docker" }

func (registryTransport) ParseReference(s string) (types.ImageReference, error) {
	return nil, fmt.Errorf("%s: a reference needs a Registry; see Dial", s)
}

func (registryTransport) ValidatePolicyConfigurationScope(string) error { return nil }
