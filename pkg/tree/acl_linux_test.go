package tree_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-5b48bd9d/drydock/pkg/storage/storagetest"
	"github.com/seed-5b48bd9d/drydock/pkg/tree"
)

// entry is one of an access control list: tag, permission, id.
type entry struct {
	tag, perm uint16
	id        uint32
}

// The tags.
const (
	userObj, user, groupObj, group, mask, other = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20

	nobody = 0xffffffff // the id of entries that have none
)

func aclOf(entries ...entry) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.perm)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return list
}

// Lists that the file's mode is as open as possible beside, and whether Harbor's
// user reads the file, as acl(5) has it.
var aclTests = []struct {
	name  string
	reads bool
	list  []byte
}{
	{"named", true, aclOf(entry{userObj, 6, nobody}, entry{user, 4, harborUser}, entry{groupObj, 0, nobody}, entry{mask, 4, nobody}, entry{other, 0, nobody})},
	{"named and kept out", false, aclOf(entry{userObj, 6, nobody}, entry{user, 0, harborUser}, entry{groupObj, 4, nobody}, entry{mask, 4, nobody}, entry{other, 4, nobody})},
	{"named and masked", false, aclOf(entry{userObj, 6, nobody}, entry{user, 4, harborUser}, entry{groupObj, 4, nobody}, entry{mask, 0, nobody}, entry{other, 4, nobody})},
	{"his group is named", true, aclOf(entry{userObj, 6, nobody}, entry{groupObj, 0, nobody}, entry{group, 4, harborUser}, entry{mask, 4, nobody}, entry{other, 0, nobody})},
	{"his group is kept out", false, aclOf(entry{userObj, 6, nobody}, entry{groupObj, 4, nobody}, entry{group, 0, harborUser}, entry{mask, 4, nobody}, entry{other, 4, nobody})},
	{"another user is named", true, aclOf(entry{userObj, 6, nobody}, entry{user, 0, 7}, entry{groupObj, 4, nobody}, entry{mask, 4, nobody}, entry{other, 4, nobody})},
	{"others are kept out", false, aclOf(entry{userObj, 6, nobody}, entry{user, 4, 7}, entry{groupObj, 4, nobody}, entry{mask, 4, nobody}, entry{other, 0, nobody})},
	{"a group that he may be in is kept out", false, aclOf(entry{userObj, 6, nobody}, entry{groupObj, 4, nobody}, entry{group, 0, 7}, entry{mask, 4, nobody}, entry{other, 4, nobody})},
}

// TestACL has access control lists decide what becomes a hard link: one that lets a
// user read makes a link of what the mode forbids, and the other way.
func TestACL(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, tt := range aclTests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t)
			if err := unix.Setxattr(o.file("own"), "system.posix_acl_access", tt.list, 0); errors.Is(err, unix.ENOTSUP) {
				t.Skip("no access control lists here")
			} else if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			v2 := filepath.Join(dir, storagetest.V2)
			if err := errors.Join(os.MkdirAll(v2, 0o755), os.Chown(v2, harborUser, harborUser)); err != nil {
				t.Fatal(err)
			}
			w := o.open(t, dir, tree.Options{})
			if linked := o.put(t, w, "own") == tree.Linked; linked != tt.reads {
				t.Errorf("linked %v, want %v", linked, tt.reads)
			}
			if why := w.Usage().Why; strings.Contains(why, "has an access control list") == tt.reads {
				t.Errorf("why it is not linked: %q", why)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestMayBeKeptOut copies what everybody but a group may read: the tree's owner may
// be in it.
func TestMayBeKeptOut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	o := newOrigin(t, func(b *storagetest.Builder) { b.Chmod("blob:own", 0o604) })
	dir := t.TempDir()
	v2 := filepath.Join(dir, storagetest.V2)
	if err := errors.Join(os.MkdirAll(v2, 0o755), os.Chown(v2, harborUser, harborUser)); err != nil {
		t.Fatal(err)
	}
	w := o.open(t, dir, tree.Options{})
	if o.put(t, w, "own") == tree.Linked {
		t.Error("it was linked")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzACL reads lists as files may have them, whole or not.
func FuzzACL(f *testing.F) {
	for _, tt := range aclTests {
		f.Add(tt.list)
		f.Add(tt.list[:len(tt.list)-3])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, list []byte) {
		if reads := tree.ACLReads(list, harborUser, 0); reads && (len(list) < 12 || list[0] != 2) {
			t.Errorf("%x lets somebody read", list)
		}
	})
}
