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
async fn work_without_a_tick_stays_where_it_is() {
    let (_scheduler, share) = scheduler();
    let work = async {
        tokio::task::yield_now().await;
        is_apart()
    };
    assert!(!share.run(work).await);
}

#[tokio::test]
async fn work_that_gives_way_leaves_and_the_next_starts_apart() {
    let (scheduler, share) = scheduler();
    let work = async {
        let before = is_apart();
        give_way().await;
        (before, is_apart())
    };
    assert_eq!(share.run(work).await, (false, true));
    assert!(share.run(async { is_apart() }).await);
    let other = scheduler.share("other", Mib::new(128));
    assert!(!other.run(async { is_apart() }).await);
    // Not for ever.
    scheduler.ticks.fetch_add(APART_TICKS, Ordering::Relaxed);
    assert!(!share.run(async { is_apart() }).await);
}

#[tokio::test]
async fn versions_of_a_function_have_one_share() {
    let (scheduler, share) = scheduler();
    let again = scheduler.share("f", Mib::new(512));
    assert!(Arc::ptr_eq(&share.0, &again.0));
    assert_eq!(share.weight(), 512);
}

#[tokio::test]
async fn timers_and_io_go_on_apart() {
    let (_scheduler, share) = scheduler();
    let clock = crate::clock::Clock::system();
    let work = async move {
        give_way().await;
        clock.sleep(Duration::from_millis(1)).await;
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let (client, _) = tokio::join!(tokio::net::TcpStream::connect(address), server.accept());
        client.is_ok() && is_apart()
    };
    assert!(share.run(work).await);
}

#[tokio::test]
async fn dropped_work_goes_on() {
    let (_scheduler, share) = scheduler();
    for leaves in [false, true] {
        let (go, gone) = oneshot::channel::<()>();
        let (told, done) = oneshot::channel();
        let work = async move {
            if leaves {
                give_way().await;
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
async fn work_that_was_not_polled_never_runs() {
    let (_scheduler, share) = scheduler();
    drop(share.run(async { unreachable!("nobody asked for it") }));
}

#[tokio::test]
async fn panic_reaches_the_caller_and_ends_no_thread() {
    let (_scheduler, share) = scheduler();
    for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
        let work = share.run(async {
            give_way().await;
            panic!("as told");
        });
        let caller = tokio::spawn(work);
        assert!(caller.await.unwrap_err().is_panic());
    }
    assert!(share.run(async { is_apart() }).await);
}

#[tokio::test]
async fn threads_end_with_the_scheduler() {
    let (scheduler, share) = scheduler();
    let threads = Arc::downgrade(&scheduler.threads);
    let pending = share.run(async {
        give_way().await;
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
