package client

import (
	"github.com/juju/charm/v12"
	"github.com/juju/errors"
	"github.com/juju/juju/core/assumes"
	jujuversion "github.com/juju/juju/version"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// features are what a charm can assume of the lab: its Juju, and its cluster, told by major and minor version.
func features() (out assumes.FeatureSet) {
	kubernetes := version.MustParse(model.KubernetesVersion)
	kubernetes.Patch = 0
	out.Add(assumes.Feature{Name: "juju", Description: assumes.UserFriendlyFeatureDescriptions["juju"], Version: number()})
	out.Add(assumes.Feature{Name: "k8s-api", Description: assumes.UserFriendlyFeatureDescriptions["k8s-api"], Version: &kubernetes})
	return out
}

// canRun refuses a charm that assumes more than there is, unless its user insists, and one that the lab cannot run.
func canRun(meta *charm.Meta, force bool) error {
	if err := jujuversion.CheckJujuMinVersion(meta.MinJujuVersion, *number()); err != nil {
		return err
	}
	if err := features().Satisfies(meta.Assumes); err != nil && !force {
		return errors.NewNotSupported(err, "")
	}
	switch {
	case len(meta.Storage) > 0:
		return notDone("storage, which charm " + meta.Name + " declares")
	case meta.CharmUser != charm.RunAsDefault && meta.CharmUser != charm.RunAsRoot:
		return notDone("a charm-user other than root")
	}
	return nil
}
