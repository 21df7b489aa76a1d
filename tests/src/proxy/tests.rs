use super::*;

const SHORT: Duration = Duration::from_millis(200);

/// A server that sends back what it gets, and a proxy before it.
async fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    Proxy::start(port).await.unwrap()
}

async fn client(proxy: &Proxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
}

/// What comes back within a short time; none for silence.
async fn ask(client: &mut TcpStream, question: &str) -> Option<io::Result<String>> {
    let asking = async {
        client.write_all(question.as_bytes()).await?;
        let mut answer = vec![0; question.len()];
        let count = client.read(&mut answer).await?;
        answer.truncate(count);
        Ok(String::from_utf8(answer).unwrap())
    };
    tokio::time::timeout(SHORT, asking).await.ok()
}

fn is_closed(answer: Option<io::Result<String>>) -> bool {
    answer.is_some_and(|answer| answer.is_err() || answer.is_ok_and(|text| text.is_empty()))
}

#[tokio::test]
async fn what_is_not_disturbed_passes() {
    let proxy = echo().await;
    let mut client = client(&proxy).await;
    assert_eq!(ask(&mut client, "one").await.unwrap().unwrap(), "one");
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_takes_new_connections() {
    let proxy = echo().await;
    let mut open = client(&proxy).await;
    ask(&mut open, "one").await.unwrap().unwrap();
    proxy.cut();
    assert!(is_closed(ask(&mut open, "two").await));
    let mut new = client(&proxy).await;
    assert_eq!(ask(&mut new, "three").await.unwrap().unwrap(), "three");
}

#[tokio::test]
async fn a_refusing_line_takes_no_connections_until_it_is_healed() {
    let proxy = echo().await;
    proxy.refuse();
    let mut refused = client(&proxy).await;
    assert!(is_closed(ask(&mut refused, "one").await));
    proxy.heal();
    let mut new = client(&proxy).await;
    assert_eq!(ask(&mut new, "two").await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn a_cut_at_a_byte_passes_exactly_the_bytes_before_it() {
    let proxy = echo().await;
    let mut client = client(&proxy).await;
    proxy.cut_after(Direction::ToClient, 4);
    assert_eq!(ask(&mut client, "abcdef").await.unwrap().unwrap(), "abcd");
    assert!(is_closed(ask(&mut client, "more").await));
    assert!(!proxy.is_waiting());
}

#[tokio::test]
async fn a_delay_holds_every_piece() {
    let proxy = echo().await;
    let mut client = client(&proxy).await;
    proxy.delay(Duration::from_millis(40));
    let start = tokio::time::Instant::now();
    ask(&mut client, "one").await.unwrap().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(80), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_black_hole_stays_one_for_the_connections_that_fell_into_it() {
    for direction in [None, Some(Direction::ToServer), Some(Direction::ToClient)] {
        let proxy = echo().await;
        let mut fallen = client(&proxy).await;
        proxy.swallow(direction);
        assert!(ask(&mut fallen, "one").await.is_none(), "{direction:?}");
        proxy.heal();
        assert!(ask(&mut fallen, "two").await.is_none(), "{direction:?}");
        let mut new = client(&proxy).await;
        assert_eq!(ask(&mut new, "three").await.unwrap().unwrap(), "three", "{direction:?}");
    }
}

#[tokio::test]
async fn the_reply_to_a_text_is_lost_and_no_other() {
    let proxy = echo().await;
    let mut client = client(&proxy).await;
    proxy.lose_replies(COMMIT, 1);
    assert_eq!(ask(&mut client, "SELECT").await.unwrap().unwrap(), "SELECT");
    assert!(is_closed(ask(&mut client, "Q\0\0\0\x0aCOMMIT\0").await));
    assert_eq!(proxy.lost_replies(), 1);
    let mut next = self::client(&proxy).await;
    assert!(ask(&mut next, "COMMIT\0").await.unwrap().is_ok_and(|text| text == "COMMIT\0"));
}

#[tokio::test]
async fn a_dropped_proxy_closes_everything() {
    let proxy = echo().await;
    let mut client = client(&proxy).await;
    ask(&mut client, "one").await.unwrap().unwrap();
    drop(proxy);
    assert!(is_closed(ask(&mut client, "two").await));
}
