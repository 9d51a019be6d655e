package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-5b48bd9d/drydock/pkg/report"
	"github.com/seed-5b48bd9d/drydock/pkg/storage"
)

const (
	// maxInventory bounds what is read of an inventory, bytes. One image takes
	// about a kilobyte.
	maxInventory = 256 << 20
	// maxDescriptor bounds one descriptor's JSON, bytes. It keeps what a small
	// text can be blown up to within bounds, too.
	maxDescriptor = 1 << 20
)

// errNotInventory is wrapped where what is read is something else.
var errNotInventory = errors.New("no inventory of a bundle")

const inventoryAdvice = "give the FILE.inventory.json that bundle writes beside FILE, or the bundle itself"

// ReadInventory reads an inventory's JSON to its end. What it gives is whole: of
// every image there are all manifests and all blobs, and all names are ones that
// a registry takes. Errors carry a hint.
func ReadInventory(r io.Reader) (*Inventory, error) { return readInventory(r, maxInventory) }

// readInventory reads so many bytes at most.
func readInventory(r io.Reader, most int64) (*Inventory, error) {
	hash := digest.Canonical.Digester()
	limited := &io.LimitedReader{R: r, N: most + 1}
	d := decoder{json: json.NewDecoder(io.TeeReader(limited, hash.Hash())), inv: &Inventory{}}
	err := d.document()
	switch {
	case limited.N == 0:
		err = fmt.Errorf("over %d bytes", most)
	case err == nil:
		d.inv.digest, d.inv.length = hash.Digest(), most+1-limited.N
		err = d.inv.close()
	}
	if err != nil {
		err = fmt.Errorf("reading inventory: %w", err)
		if report.Advice(err) == "" {
			err = report.WithHint(err, inventoryAdvice)
		}
		return nil, err
	}
	return d.inv, nil
}

// decoder reads an inventory piece by piece, and checks each piece: an image
// takes more memory than the text of a wrong one.
type decoder struct {
	json *json.Decoder
	inv  *Inventory
}

func (d *decoder) document() error {
	if open, err := d.json.Token(); err != nil || open != json.Delim('{') {
		return errors.Join(errNotInventory, unexpected(err))
	}
	seen := map[string]bool{}
	for d.json.More() {
		token, err := d.json.Token()
		if err != nil {
			return unexpected(err)
		}
		key := token.(string) // of an object, they all are
		if seen[key] {
			return fmt.Errorf("it has %q twice", key)
		}
		seen[key] = true
		if err := d.field(key); err != nil {
			return unexpected(err)
		}
	}
	if _, err := d.json.Token(); err != nil {
		return unexpected(err)
	}
	if !seen["formatVersion"] {
		return errNotInventory
	}
	if _, err := d.json.Token(); err != io.EOF {
		return errors.Join(errors.New("there is more behind it"), err)
	}
	return nil
}

// unexpected is an error that does not say that all is read: it is not.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) field(key string) error {
	switch key {
	case "formatVersion":
		var version int
		if err := d.json.Decode(&version); err != nil {
			return err
		}
		if version != formatVersion {
			return report.WithHint(fmt.Errorf("it has the version %d, known is %d", version, formatVersion), "use a newer drydock")
		}
		return nil
	case "base":
		return d.json.Decode(&d.inv.Base)
	case "images":
		return list(d.json, func(i Image) error {
			i.Updated = wholeSeconds(i.Updated)
			d.inv.Images = append(d.inv.Images, i)
			return checkImage(i)
		})
	case "manifests":
		return list(d.json, func(encoded manifestJSON) error {
			m := decodeManifest(encoded)
			d.inv.Manifests = append(d.inv.Manifests, m)
			return checkManifest(m)
		})
	case "blobs":
		return list(d.json, func(b Blob) error {
			d.inv.Blobs = append(d.inv.Blobs, b)
			return checkBlob(b)
		})
	}
	return d.ignore()
}

// ignore passes over a value, without keeping it: it is one of a later version
// that a reader need not know of.
func (d *decoder) ignore() error {
	for depth := 0; ; {
		token, err := d.json.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			if depth++; depth > maxNesting {
				return fmt.Errorf("what it says lies over %d deep", maxNesting)
			}
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// list reads an array and hands its elements on one by one.
func list[T any](dec *json.Decoder, do func(T) error) error {
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return errors.Join(errNotInventory, unexpected(err))
	}
	for dec.More() {
		var element T
		if err := dec.Decode(&element); err != nil {
			return err
		}
		if err := do(element); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// UnmarshalJSON reads a descriptor, and refuses it where it cannot be one: a
// list of them is not read to its end then.
func (d *descriptorJSON) UnmarshalJSON(text []byte) error {
	type plain descriptorJSON
	if len(text) > maxDescriptor {
		return fmt.Errorf("a descriptor has %d bytes", len(text))
	}
	if err := json.Unmarshal(text, (*plain)(d)); err != nil {
		return err
	}
	return d.Digest.Validate()
}

// UnmarshalJSON reads a platform that is within the bounds of a descriptor.
func (p *platformJSON) UnmarshalJSON(text []byte) error {
	if len(text) > maxDescriptor {
		return fmt.Errorf("a platform has %d bytes", len(text))
	}
	return json.Unmarshal(text, (*ocispec.Platform)(p))
}

func decodeManifest(encoded manifestJSON) *storage.Manifest {
	m := &storage.Manifest{
		Descriptor: ocispec.Descriptor{
			Digest: encoded.Digest, MediaType: encoded.MediaType, Size: encoded.Size,
			ArtifactType: encoded.ArtifactType, Platform: (*ocispec.Platform)(encoded.Platform),
		},
		ArtifactType: encoded.ArtifactType,
		Manifests:    decodeDescriptors(encoded.Manifests),
		Blobs:        decodeDescriptors(encoded.Blobs),
		Stated:       !encoded.MediaTypeImplied,
	}
	if encoded.ArtifactTypeImplied {
		m.Descriptor.ArtifactType = ""
	}
	if encoded.Subject != nil {
		m.Subject = decodeDescriptor(*encoded.Subject)
	}
	return m
}

func decodeDescriptors(list []descriptorJSON) []*ocispec.Descriptor {
	var decoded []*ocispec.Descriptor
	for _, d := range list {
		decoded = append(decoded, decodeDescriptor(d))
	}
	return decoded
}

func decodeDescriptor(d descriptorJSON) *ocispec.Descriptor {
	return &ocispec.Descriptor{
		Digest: d.Digest, MediaType: d.MediaType, Size: d.Size,
		ArtifactType: d.ArtifactType, URLs: d.URLs, Platform: (*ocispec.Platform)(d.Platform),
	}
}
