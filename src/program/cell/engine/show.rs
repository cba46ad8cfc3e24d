//! Follows a running cell: hands what it writes to the front end, answers its questions, and ends
//! the wait when the cell is over, the child is gone or an interrupt was not heeded in time.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use trialbook::{
    display::{CLEAR_MIME, Content, ID_MIME},
    runtime::{Ended, Tell},
};

use crate::cell::{
    engine::{
        child::{Child, Happened},
        late::{is_ours, value},
        owners::Owners,
        running::Running,
        stream::{Piece, Pieces},
    },
    front::{Event, Front, InputRequest, Stream},
};

/// The end of the wait.
#[derive(Debug)]
pub(crate) enum Finish {
    /// The cell is over; these variables are in the child.
    Done(Ended, Vec<String>),
    /// The child is gone.
    Gone,
    /// The cell was asked to stop and went on for too long.
    Overdue,
}

/// The time that content is held back for another form of the same.
const TOGETHER: Duration = Duration::from_millis(10);

/// The time between two looks for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

/// The time that the marks that end the streams may take after the cell is over. They are written
/// before it says so: only a cell that closed its streams makes this wait.
const END_LIMIT: Duration = Duration::from_millis(500);

/// Follows the cell that `child` runs.
pub(crate) fn follow(
    child: &mut Child,
    front: &dyn Front,
    running: &Running,
    grace: Duration,
) -> Finish {
    let mut following = Following::new(front, child.owners().clone());
    let mut done = None;
    loop {
        if running.interrupted_for().is_some_and(|since| since > grace) && done.is_none() {
            following.flush();
            return Finish::Overdue;
        }
        if done.is_some() && following.is_over() {
            break;
        }
        let limit = match (&done, following.holds_content()) {
            (Some(_), _) => END_LIMIT,
            (None, true) => TOGETHER,
            (None, false) => LOOK,
        };
        match child.next(limit) {
            Some(Happened::Wrote(stream, bytes)) => {
                for (prompt, is_password) in following.read(stream, &bytes) {
                    following.answer(child, &InputRequest { prompt, is_password });
                }
            }
            // It may have been answered since.
            Some(Happened::Told(Tell::WantsInput { n_answers })) => {
                if n_answers == child.n_answers() {
                    following.flush_displays();
                    let request = InputRequest { prompt: String::new(), is_password: false };
                    if let Some(reason) = following.answer(child, &request) {
                        let note = format!(
                            "note: the cell reads standard input, which ends here: {reason}; where \
                             that has to be an error, ask with \
                             `trialbook::runtime::input(\"…\")?`\n"
                        );
                        front.event(Event::Stream(Stream::Stderr, note.into_bytes()));
                    }
                }
            }
            Some(Happened::Closed(stream)) => following.close(stream),
            Some(Happened::Told(Tell::Done { ended, variables })) => {
                done = Some((ended, variables));
            }
            Some(Happened::Told(Tell::Ready)) => {}
            Some(Happened::Gone) if done.is_none() => {
                following.drain(child);
                return Finish::Gone;
            }
            Some(Happened::Gone) => break,
            None if done.is_some() => break,
            None => following.flush_displays(),
        }
    }
    following.flush();
    match done {
        Some((ended, variables)) => Finish::Done(ended, variables),
        None => Finish::Gone,
    }
}

/// The pieces of both streams, put into order: what was written after a turn waits until the other
/// stream has come to the same turn.
#[derive(Debug, Default)]
struct Turns {
    stdout: Turning,
    stderr: Turning,
}

#[derive(Debug, Default)]
struct Turning {
    turn: u64,
    pieces: VecDeque<Piece>,
}

impl Turns {
    fn of(&mut self, stream: Stream) -> (&mut Turning, u64) {
        match stream {
            Stream::Stdout => (&mut self.stdout, self.stderr.turn),
            Stream::Stderr => (&mut self.stderr, self.stdout.turn),
        }
    }

    fn extend(&mut self, stream: Stream, pieces: Vec<Piece>) {
        self.of(stream).0.pieces.extend(pieces);
    }

    /// Nothing more comes from `stream`.
    fn end(&mut self, stream: Stream) {
        let (turning, _) = self.of(stream);
        turning.pieces.push_back(Piece::Turn(u64::MAX));
    }

    /// The next piece that nothing of the other stream goes before.
    fn next(&mut self) -> Option<(Stream, Piece)> {
        loop {
            let mut has_turned = false;
            for stream in [Stream::Stdout, Stream::Stderr] {
                let (turning, other) = self.of(stream);
                while let Some(piece) = turning.pieces.front() {
                    if let Piece::Turn(turn) = piece {
                        turning.turn = *turn;
                        turning.pieces.pop_front();
                        has_turned = true;
                    } else if turning.turn > other {
                        break;
                    } else {
                        return turning.pieces.pop_front().map(|piece| (stream, piece));
                    }
                }
            }
            if !has_turned {
                return None;
            }
        }
    }
}

struct Following<'a> {
    front: &'a dyn Front,
    owners: Owners,
    stdout: Pieces,
    stderr: Pieces,
    waiting: Turns,
    stdout_over: bool,
    stderr_over: bool,
    content: Option<Content>,
    id: Option<(String, bool)>,
    is_result: bool,
    result: Option<Content>,
}

impl<'a> Following<'a> {
    fn new(front: &'a dyn Front, owners: Owners) -> Self {
        Self {
            front,
            owners,
            stdout: Pieces::default(),
            stderr: Pieces::default(),
            waiting: Turns::default(),
            stdout_over: false,
            stderr_over: false,
            content: None,
            id: None,
            is_result: false,
            result: None,
        }
    }

    fn is_over(&self) -> bool {
        self.stdout_over && self.stderr_over
    }

    fn holds_content(&self) -> bool {
        self.content.is_some() && !self.is_result
    }

    /// Asks the person and hands on the answer; why there is none, otherwise.
    fn answer(&self, child: &mut Child, request: &InputRequest) -> Option<String> {
        let answer = self.front.input(request);
        let reason = answer.as_ref().err().map(|error| error.chain());
        child.answer(answer.as_ref().map(Clone::clone));
        reason
    }

    /// Takes bytes of a stream; returns the questions among them.
    fn read(&mut self, stream: Stream, bytes: &[u8]) -> Vec<(String, bool)> {
        let pieces = match stream {
            Stream::Stdout => self.stdout.feed(bytes),
            Stream::Stderr => self.stderr.feed(bytes),
        };
        self.waiting.extend(stream, pieces);
        let mut questions = Vec::new();
        while let Some((stream, piece)) = self.waiting.next() {
            self.piece(stream, piece, &mut questions);
        }
        questions
    }

    fn piece(&mut self, stream: Stream, piece: Piece, questions: &mut Vec<(String, bool)>) {
        match piece {
            Piece::Bytes(bytes) => self.bytes(stream, bytes),
            Piece::Content { mime, data } => match self.owners.of(stream) {
                Some(front) if !is_ours(&mime) => {
                    let content = Content::default().with(&mime, value(&mime, data));
                    front.event(Event::Display { content, id: None });
                }
                _ => self.form(&mime, data),
            },
            Piece::Of(cell) => self.owners.turn_to(stream, cell),
            Piece::Input { prompt, is_password } => {
                self.flush_content();
                questions.push((prompt, is_password));
            }
            Piece::Result => {
                self.flush_content();
                self.is_result = true;
            }
            Piece::Turn(_) => {}
            Piece::End => self.close(stream),
        }
    }

    fn bytes(&mut self, stream: Stream, bytes: Vec<u8>) {
        if let Some(front) = self.owners.of(stream) {
            return front.event(Event::Stream(stream, bytes));
        }
        self.flush_content();
        self.front.event(Event::Stream(stream, bytes));
    }

    fn form(&mut self, mime: &str, data: String) {
        if mime == CLEAR_MIME {
            self.flush_content();
            let value: Value = serde_json::from_str(&data).unwrap_or_default();
            let wait = value["wait"].as_bool().unwrap_or_default();
            self.front.event(Event::Clear { wait });
            return;
        }
        if mime == ID_MIME {
            self.flush_content();
            let value: Value = serde_json::from_str(&data).unwrap_or_default();
            let update = value["update"].as_bool().unwrap_or_default();
            self.id = value["id"].as_str().map(|id| (id.to_owned(), update));
            return;
        }
        if self.content.as_ref().is_some_and(|content| content.data.contains_key(mime)) {
            self.flush_content();
        }
        let content = self.content.take().unwrap_or_default();
        self.content = Some(content.with(mime, value(mime, data)));
    }

    /// Shows the content that is held back.
    fn flush_content(&mut self) {
        let Some(content) = self.content.take() else {
            return;
        };
        if self.is_result && self.id.is_none() {
            // Several things may be shown for one value: the last of them is the value.
            if let Some(earlier) = self.result.replace(content) {
                self.front.event(Event::Display { content: earlier, id: None });
            }
            return;
        }
        match self.id.take() {
            Some((id, true)) => self.front.event(Event::Update { content, id }),
            Some((id, false)) => self.front.event(Event::Display { content, id: Some(id) }),
            None => self.front.event(Event::Display { content, id: None }),
        }
    }

    fn flush_displays(&mut self) {
        if self.holds_content() {
            self.flush_content();
        }
    }

    fn flush(&mut self) {
        self.waiting.end(Stream::Stdout);
        self.waiting.end(Stream::Stderr);
        while let Some((stream, piece)) = self.waiting.next() {
            self.piece(stream, piece, &mut Vec::new());
        }
        self.flush_content();
        if let Some(content) = self.result.take() {
            self.front.event(Event::Result(content));
        }
    }

    fn close(&mut self, stream: Stream) {
        let (pieces, over) = match stream {
            Stream::Stdout => (&mut self.stdout, &mut self.stdout_over),
            Stream::Stderr => (&mut self.stderr, &mut self.stderr_over),
        };
        *over = true;
        let rest = pieces.rest();
        // Nothing comes from it any more that the other stream could wait for.
        self.waiting.end(stream);
        if !rest.is_empty() {
            self.bytes(stream, rest);
        }
    }

    /// Shows what a child that is gone had still written.
    fn drain(&mut self, child: &mut Child) {
        while !self.is_over() {
            match child.next(END_LIMIT) {
                Some(Happened::Wrote(stream, bytes)) => drop(self.read(stream, &bytes)),
                Some(Happened::Closed(stream)) => self.close(stream),
                Some(Happened::Told(_)) => {}
                Some(Happened::Gone) | None => break,
            }
        }
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_streams_keep_their_order_however_they_arrive() {
        let bytes = |text: &str| Piece::Bytes(text.into());
        let stdout =
            [bytes("a"), Piece::Turn(1), Piece::Turn(2), bytes("c"), Piece::Turn(3), Piece::End];
        let stderr =
            [Piece::Turn(1), bytes("b"), Piece::Turn(2), Piece::Turn(3), bytes("d"), Piece::End];
        for stdout_first in [true, false] {
            for n_at_once in 1..=6 {
                let mut turns = Turns::default();
                let mut seen = String::new();
                let mut streams = [(Stream::Stdout, &stdout), (Stream::Stderr, &stderr)];
                if !stdout_first {
                    streams.reverse();
                }
                let mut take = |turns: &mut Turns| {
                    while let Some((_, piece)) = turns.next() {
                        if let Piece::Bytes(bytes) = piece {
                            seen.push_str(&String::from_utf8(bytes).unwrap());
                        }
                    }
                };
                for (stream, pieces) in streams {
                    for chunk in pieces.chunks(n_at_once) {
                        turns.extend(stream, chunk.to_vec());
                        take(&mut turns);
                    }
                }
                assert_eq!(seen, "abcd", "{stdout_first} {n_at_once}");
            }
        }
    }

    #[derive(Default)]
    struct Seen(Mutex<String>);

    impl Front for Seen {
        fn event(&self, event: Event) {
            if let Event::Stream(_, bytes) = event {
                self.0.lock().unwrap().push_str(&String::from_utf8(bytes).unwrap());
            }
        }

        fn input(&self, _: &InputRequest) -> trialbook::error::Result<String> {
            unreachable!("nothing is asked here")
        }
    }

    #[test]
    fn what_the_code_of_an_earlier_cell_prints_goes_to_its_front_end() {
        use trialbook::runtime::MARK;

        use crate::cell::engine::late::Late;

        let [one, two] = [(); 2].map(|()| Arc::new(Seen::default()));
        let owners = Owners::default();
        owners.add(1, one.clone());
        owners.add(2, two.clone());
        owners.set_running(Some(2));
        let running = Seen::default();
        let mut following = Following::new(&running, owners.clone());
        let of = |cell: u64, text: &str| format!("{MARK}of {cell}\n{text}{MARK}of 0\n");
        let text = format!("a{}b{}c{}", of(1, "1"), of(2, "d"), of(9, "e"));
        following.read(Stream::Stdout, text.as_bytes());
        // The end of one cell may come in the middle of what another prints.
        following.read(Stream::Stdout, format!("{MARK}of 1\n2").as_bytes());
        owners.set_running(None);
        let last = Arc::new(Seen::default());
        let mut late = Late::new(last.clone(), owners);
        late.take(Stream::Stdout, format!("3{MARK}of 0\nf{}", of(2, "4")).as_bytes());
        late.take(Stream::Stderr, of(1, "5").as_bytes());
        let seen = [&*one, &*two, &running, &*last].map(|seen| seen.0.lock().unwrap().clone());
        assert_eq!(seen, ["1235", "4", "abdce", "f"]);
    }

    #[test]
    fn a_stream_that_ends_lets_the_other_one_go_on() {
        let mut turns = Turns::default();
        turns.extend(Stream::Stderr, vec![Piece::Turn(4), Piece::Bytes(b"x".into())]);
        assert!(turns.next().is_none());
        turns.end(Stream::Stdout);
        assert_eq!(turns.next(), Some((Stream::Stderr, Piece::Bytes(b"x".into()))));
    }
}
