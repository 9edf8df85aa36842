package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ensureNamespace makes a model's namespace, marked as Juju marks it.
func (p *Provisioner) ensureNamespace(ctx context.Context, name, uuid string) error {
	if p.namespaces[name] == uuid {
		return nil
	}
	_, err := p.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "juju", "model.juju.is/name": name},
		Annotations: map[string]string{"model.juju.is/id": uuid, "controller.juju.is/id": p.ControllerUUID},
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("cannot make the namespace of model %s: %w", name, err)
	}
	p.namespaces[name] = uuid
	return nil
}

func (p *Provisioner) removeNamespace(ctx context.Context, name string) error {
	err := p.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot remove the namespace of model %s: %w", name, err)
	}
	delete(p.namespaces, name)
	return nil
}
