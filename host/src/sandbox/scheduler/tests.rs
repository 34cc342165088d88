use tokio::sync::oneshot;

use super::*;

fn scheduler() -> (Scheduler, Share) {
    let scheduler = Scheduler::start().unwrap();
    let share = scheduler.share("f", Mib::new(128));
    (scheduler, share)
}

fn is_apart() -> bool {
    let thread = std::thread::current();
    thread
        .name()
        .is_some_and(|name| name.starts_with("lamina-guest"))
}

#[tokio::test]
async fn work_without_tick_stays_on_worker() {
    let (_scheduler, share) = scheduler();
    let work = async {
        tokio::task::yield_now().await;
        is_apart()
    };
    assert!(!share.run(work).await);
}

#[tokio::test]
async fn yielding_work_moves_and_next_call_starts_on_scheduler() {
    let (scheduler, share) = scheduler();
    let work = async {
        let before = is_apart();
        yield_now().await;
        (before, is_apart())
    };
    assert_eq!(share.run(work).await, (false, true));
    assert!(share.run(async { is_apart() }).await);
    let other = scheduler.share("other", Mib::new(128));
    assert!(!other.run(async { is_apart() }).await);
    // Only for a limited number of ticks.
    scheduler.ticks.fetch_add(APART_TICKS, Ordering::Relaxed);
    assert!(!share.run(async { is_apart() }).await);
}

#[tokio::test]
async fn versions_of_function_share_one_weight() {
    let (scheduler, share) = scheduler();
    let again = scheduler.share("f", Mib::new(512));
    assert!(Arc::ptr_eq(&share.0, &again.0));
    assert_eq!(share.weight(), 512);
}

#[tokio::test]
async fn timers_and_io_work_on_scheduler_threads() {
    let (_scheduler, share) = scheduler();
    let clock = crate::clock::Clock::system();
    let work = async move {
        yield_now().await;
        clock.sleep(Duration::from_millis(1)).await;
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (client, _) = tokio::join!(tokio::net::TcpStream::connect(address), server.accept());
        client.is_ok() && is_apart()
    };
    assert!(share.run(work).await);
}

#[tokio::test]
async fn detached_work_completes() {
    let (_scheduler, share) = scheduler();
    for leaves in [false, true] {
        let (go, gone) = oneshot::channel::<()>();
        let (told, done) = oneshot::channel();
        let work = async move {
            if leaves {
                yield_now().await;
            }
            gone.await.unwrap();
            told.send(()).unwrap();
        };
        let mut scheduled = Box::pin(share.run(work));
        assert!(futures_util::poll!(&mut scheduled).is_pending());
        drop(scheduled);
        go.send(()).unwrap();
        done.await.unwrap();
    }
}

#[tokio::test]
async fn unpolled_work_never_runs() {
    let (_scheduler, share) = scheduler();
    drop(share.run(async { unreachable!("nobody asked for it") }));
}

#[tokio::test]
async fn panic_reaches_caller_and_keeps_thread() {
    let (_scheduler, share) = scheduler();
    for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
        let work = share.run(async {
            yield_now().await;
            panic!("as told");
        });
        let caller = tokio::spawn(work);
        assert!(caller.await.unwrap_err().is_panic());
    }
    assert!(share.run(async { is_apart() }).await);
}

#[tokio::test]
async fn threads_end_with_scheduler() {
    let (scheduler, share) = scheduler();
    let threads = Arc::downgrade(&scheduler.threads);
    let pending = share.run(async {
        yield_now().await;
        std::future::pending::<()>().await;
    });
    let mut pending = Box::pin(pending);
    assert!(futures_util::poll!(&mut pending).is_pending());
    drop((scheduler, share));
    drop(pending);
    while threads.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn work_in_flight_ends_with_its_runtime() {
    for workers in [0, 2] {
        let runtime = match workers {
            0 => tokio::runtime::Builder::new_current_thread().build(),
            _ => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers)
                .build(),
        };
        let runtime = runtime.unwrap();
        let (_scheduler, share) = scheduler();
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let (begins, has_begun) = oneshot::channel();
        let work = share.run(async move {
            begins.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(inside);
        });
        runtime.spawn(work);
        runtime.block_on(has_begun).unwrap();
        drop(runtime);
        assert_eq!(Arc::strong_count(&held), 1, "{workers} workers");
    }
}
