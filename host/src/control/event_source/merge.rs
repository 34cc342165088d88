//! Changes of settings. A setting that a request does not have stays; an empty one is removed.

use crate::invoke::snapshot::event_source::settings::{
    DocumentDb, Kafka, Pollers, Registry, Settings,
};

impl Settings {
    /// These choices, with later ones laid over them.
    pub(super) fn overlaid(self, later: Self) -> Self {
        Self {
            batch_size: later.batch_size.or(self.batch_size),
            batching_window_seconds: later
                .batching_window_seconds
                .or(self.batching_window_seconds),
            parallelization_factor: later.parallelization_factor.or(self.parallelization_factor),
            record_age_max_seconds: later.record_age_max_seconds.or(self.record_age_max_seconds),
            retry_attempts_max: later.retry_attempts_max.or(self.retry_attempts_max),
            bisect_on_error: later.bisect_on_error.or(self.bisect_on_error),
            tumbling_window_seconds: later
                .tumbling_window_seconds
                .or(self.tumbling_window_seconds),
            report_item_failures: later.report_item_failures.or(self.report_item_failures),
            destinations: later
                .destinations
                .or(self.destinations)
                .filter(|it| it.failure().is_some()),
            filters: later.filters.or(self.filters).filter(|it| !it.is_empty()),
            kms_key: later.kms_key.or(self.kms_key).filter(|it| !it.is_empty()),
            metrics: later.metrics.or(self.metrics).filter(|it| !it.is_empty()),
            logging: later
                .logging
                .or(self.logging)
                .filter(|it| it.level.is_some()),
            scaling: later
                .scaling
                .or(self.scaling)
                .filter(|it| it.concurrency_max.is_some()),
            pollers: pollers(self.pollers, later.pollers),
            access: later.access.or(self.access),
            managed_kafka: kafka(self.managed_kafka, later.managed_kafka),
            self_managed_kafka: kafka(self.self_managed_kafka, later.self_managed_kafka),
            document_db: document_db(self.document_db, later.document_db),
        }
    }
}

/// Numbers that are not given again stay, as long as any are.
fn pollers(earlier: Option<Pollers>, later: Option<Pollers>) -> Option<Pollers> {
    let Some(later) = later else { return earlier };
    if later == Pollers::default() {
        return None;
    }
    let earlier = earlier.unwrap_or_default();
    Some(Pollers {
        min: later.min.or(earlier.min),
        max: later.max.or(earlier.max),
        group: later
            .group
            .or(earlier.group)
            .filter(|group| !group.is_empty()),
    })
}

/// An empty block leaves what there is; an empty registry inside it takes the registry away.
fn kafka(earlier: Option<Kafka>, later: Option<Kafka>) -> Option<Kafka> {
    let (Some(before), Some(after)) = (&earlier, &later) else {
        return later.or(earlier);
    };
    let registry = after.registry.clone().or_else(|| before.registry.clone());
    Some(Kafka {
        consumer_group: after
            .consumer_group
            .clone()
            .or_else(|| before.consumer_group.clone()),
        consumption: after.consumption.or(before.consumption),
        registry: registry.filter(|registry| *registry != Registry::default()),
    })
}

fn document_db(earlier: Option<DocumentDb>, later: Option<DocumentDb>) -> Option<DocumentDb> {
    let (Some(before), Some(after)) = (&earlier, &later) else {
        return later.or(earlier);
    };
    Some(DocumentDb {
        database: after.database.clone().or_else(|| before.database.clone()),
        collection: after
            .collection
            .clone()
            .or_else(|| before.collection.clone()),
        full_document: after.full_document.or(before.full_document),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoke::snapshot::event_source::settings::{Limit, Scaling};

    #[test]
    fn absent_setting_stays_and_empty_one_is_removed() {
        let earlier = Settings {
            batch_size: Some(10),
            filters: Some(vec!["{}".into()]),
            kms_key: Some("key".into()),
            scaling: Some(Scaling {
                concurrency_max: Some(5),
            }),
            retry_attempts_max: Some(Limit::Forever),
            ..Settings::default()
        };
        assert_eq!(earlier.clone().overlaid(Settings::default()), earlier);
        let later = Settings {
            filters: Some(Vec::new()),
            kms_key: Some(String::new()),
            scaling: Some(Scaling::default()),
            retry_attempts_max: Some(Limit::Of(3)),
            ..Settings::default()
        };
        let expected = Settings {
            batch_size: Some(10),
            retry_attempts_max: Some(Limit::Of(3)),
            ..Settings::default()
        };
        assert_eq!(earlier.overlaid(later), expected);
    }

    #[test]
    fn registry_is_removed_by_an_empty_one_only() {
        let registry = Registry {
            uri: Some("https://registry".into()),
            ..Registry::default()
        };
        let with = |registry| {
            Some(Kafka {
                consumer_group: Some("group".into()),
                registry,
                ..Kafka::default()
            })
        };
        let earlier = with(Some(registry));
        let empty_block = Some(Kafka::default());
        assert_eq!(kafka(earlier.clone(), None), earlier);
        assert_eq!(kafka(earlier.clone(), empty_block), earlier);
        let empty_registry = Some(Kafka {
            registry: Some(Registry::default()),
            ..Kafka::default()
        });
        assert_eq!(kafka(earlier, empty_registry), with(None));
    }
}
