package client

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/facade"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

var charmsMethods = map[string]Handler{
	"Charms.CharmInfo":                 facade.Read(charmInfo),
	"Charms.ApplicationCharmInfo":      facade.Read(applicationCharmInfo),
	"Application.ApplicationCharmInfo": facade.Read(applicationCharmInfo),
	"Charms.ResolveCharms":             facade.Read(resolveCharms),
}

func charmInfo(c *Conn, arg params.CharmURL) (params.Charm, error) {
	ch := c.Model.Charms[arg.URL]
	if ch == nil {
		return params.Charm{}, errors.NotFoundf("charm %q", arg.URL)
	}
	return charmParams(ch.URL, ch.Charm), nil
}

func applicationCharmInfo(c *Conn, arg params.Entity) (params.Charm, error) {
	app, err := c.appByTag(arg.Tag)
	if err != nil {
		return params.Charm{}, err
	}
	return charmParams(app.Charm.URL, app.Charm.Charm), nil
}

func resolveCharms(*Conn, params.ResolveCharmsWithChannel) (facade.None, error) {
	return facade.None{}, notDone("charms from Charmhub: deploy a .charm file")
}

// uploadCharm takes a charm's archive and gives it the model's next revision of its name.
// It serves PUT /model-<uuid>/charms/<name>-<first seven of the archive's SHA-256>.
func (c *Conn) uploadCharm(w http.ResponseWriter, r *http.Request, dir string) {
	url, err := c.keepCharm(r, dir)
	if err != nil {
		httpError(w, err)
		return
	}
	w.Header().Set("Juju-Curl", url)
	writeJSON(w, http.StatusOK, params.CharmsResponse{CharmURL: url})
}

func (c *Conn) keepCharm(r *http.Request, dir string) (string, error) {
	object := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	dash := strings.LastIndex(object, "-")
	if dash < 0 {
		return "", errors.BadRequestf("%q is not a valid charm object path", object)
	}
	wantName, wantSum := object[:dash], object[dash+1:]
	url, err := charm.ParseURL(r.Header.Get("Juju-Curl"))
	if err != nil {
		return "", errors.NewBadRequest(err, "")
	}
	file, err := os.CreateTemp(dir, wantName+"-*.charm")
	if err != nil {
		return "", errors.Annotate(err, "cannot keep the charm")
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, sum), r.Body); err != nil {
		return "", errors.Annotate(err, "cannot receive the charm")
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	if !strings.HasPrefix(hash, wantSum) {
		return "", errors.BadRequestf("Uploaded charm sha256 (%v) does not match sha in url (%v)", hash[:7], wantSum)
	}
	archive, err := charm.ReadCharmArchive(file.Name())
	if err != nil {
		return "", errors.BadRequestf("invalid charm archive: %v", err)
	}
	if len(archive.Meta().Containers) == 0 {
		return "", errors.NewBadRequest(notDone("charms without a container (only sidecar charms)"), "")
	}
	url.Name = wantName
	err = c.Controller.Update(func() error {
		url.Revision = c.nextRevision(url)
		ch := &model.Charm{URL: url.String(), Path: file.Name(), SHA256: hash, Charm: archive}
		c.Model.Charms[ch.URL] = ch
		return nil
	})
	return url.String(), err
}

// nextRevision counts a local charm's uploads to a model from 0.
func (c *Conn) nextRevision(url *charm.URL) int {
	next := 0
	for text := range c.Model.Charms {
		if have, err := charm.ParseURL(text); err == nil && have.Name == url.Name && have.Revision >= next {
			next = have.Revision + 1
		}
	}
	return next
}

// downloadCharm serves GET /model-<uuid>/charms/<name>-<sha7>, by which agents fetch a charm.
func (c *Conn) downloadCharm(w http.ResponseWriter, r *http.Request) {
	object := filepath.Base(r.URL.Path)
	path := ""
	c.Controller.View(func() {
		for _, ch := range c.Model.Charms {
			if sum := object[strings.LastIndex(object, "-")+1:]; sum != "" && strings.HasPrefix(ch.SHA256, sum) {
				path = ch.Path
			}
		}
	})
	if path == "" {
		httpError(w, errors.NotFoundf("charm %q", object))
		return
	}
	http.ServeFile(w, r, path)
}
