//! The pickles of `torch.save`: what a state dict consists of, tensors with their strides. Nothing of
//! the Python that they name is run: a call of anything but the few functions that rebuild a state
//! dict is a value nobody can look into.

use std::{collections::HashMap, rc::Rc};

/// The reason why a file cannot be read.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Cause>;

/// A row of numbers in the file, which tensors are views of.
#[derive(Debug)]
pub(super) struct Storage {
    /// Its name in the file.
    pub(super) key: Rc<str>,
    /// PyTorch's class, such as `torch.FloatStorage`.
    pub(super) class: Rc<str>,
}

/// A tensor: where in its storage each of its numbers lies.
#[derive(Debug)]
pub(super) struct View {
    pub(super) storage: Rc<Storage>,
    /// The first number, counted in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers from one index to the next, for each dimension.
    pub(super) strides: Vec<usize>,
}

/// A value. Lists, tuples and dicts are kept beside the stack and told apart by their number: they
/// can be shared, and nested as deeply as the file pleases.
#[derive(Debug, Clone)]
enum Value {
    Int(i64),
    Bool(bool),
    Text(Rc<str>),
    /// A list or a tuple.
    Items(usize),
    Dict(usize),
    /// A function or class by its name.
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
    /// Nothing, or nothing that a state dict is made of.
    Other,
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle {
    root: Value,
    items: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    /// Every storage that was named.
    pub(super) storages: Vec<Rc<Storage>>,
    /// The number of the bytes that belong to it.
    pub(super) n_bytes: usize,
}

impl Pickle {
    /// Reads the one that `bytes` begin with.
    ///
    /// # Errors
    /// When it is cut off or does something that no `torch.save` has it do.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut machine = Machine { bytes, ..Machine::default() };
        while machine.step()? {}
        let root = machine.pop()?;
        let Machine { at: n_bytes, items, dicts, storages, .. } = machine;
        Ok(Self { root, items, dicts, storages, n_bytes })
    }

    /// The tensors of the dict that it is, and of dicts in it by the path to them.
    pub(super) fn tensors(&self) -> Result<Vec<(String, Rc<View>)>> {
        let Value::Dict(root) = self.root else {
            return Err("it holds no dict of tensors".into());
        };
        let mut tensors = Vec::new();
        self.collect(root, &mut Vec::new(), &mut tensors);
        Ok(tensors)
    }

    fn collect<'a>(
        &'a self,
        dict: usize,
        path: &mut Vec<&'a str>,
        tensors: &mut Vec<(String, Rc<View>)>,
    ) {
        // Those of a training lie one dict deep. A dict may hold itself, so there is an end to it.
        const DEEPEST: usize = 3;
        for (key, value) in &self.dicts[dict] {
            let Value::Text(key) = key else { continue };
            path.push(key);
            match value {
                Value::Tensor(view) => tensors.push((path.join("."), Rc::clone(view))),
                Value::Dict(inner) if path.len() < DEEPEST => self.collect(*inner, path, tensors),
                _ => {}
            }
            path.pop();
        }
    }

    /// The texts of the list that it is.
    pub(super) fn texts(&self) -> Vec<&str> {
        let Value::Items(list) = self.root else { return Vec::new() };
        let texts = self.items[list].iter().filter_map(|value| match value {
            Value::Text(text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }

    /// The value of `key` in the dict that it is, yes or no.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let Value::Dict(dict) = self.root else { return None };
        self.dicts[dict].iter().find_map(|(name, value)| match (name, value) {
            (Value::Text(name), Value::Bool(flag)) if **name == *key => Some(*flag),
            _ => None,
        })
    }
}

/// A pickle is a program for a machine with a stack:
/// <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.
#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    items: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Rc<Storage>>,
}

impl<'a> Machine<'a> {
    /// One instruction; false when it was the last.
    fn step(&mut self) -> Result<bool> {
        match self.byte()? {
            b'.' => return Ok(false),
            // What says how the pickle is laid out.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_marked()?),
            b'2' => self.stack.push(self.top()?.clone()),
            // Plain values.
            b'N' => self.stack.push(Value::Other),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'I' | b'L' => {
                let value = match self.line()?.trim_end_matches('L') {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    number => number.parse().map_or(Value::Other, Value::Int),
                };
                self.stack.push(value);
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => {
                let number = self.byte()?;
                self.stack.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            0x8a => {
                let n_bytes = self.byte()?.into();
                let value = long(self.take(n_bytes)?);
                self.stack.push(value);
            }
            b'F' => {
                self.line()?;
                self.stack.push(Value::Other);
            }
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Other);
            }
            b'S' | b'V' => {
                let text = self.line()?.trim_matches(['\'', '"']).into();
                self.stack.push(Value::Text(text));
            }
            b'U' | 0x8c => {
                let n_bytes = self.byte()?.into();
                self.text(n_bytes)?;
            }
            b'T' | b'X' => {
                let n_bytes = u32::from_le_bytes(self.array()?);
                self.text(n_bytes.into())?;
            }
            0x8d => {
                let n_bytes = u64::from_le_bytes(self.array()?);
                self.text(n_bytes)?;
            }
            b'C' => {
                let n_bytes = self.byte()?.into();
                self.take(n_bytes)?;
                self.stack.push(Value::Other);
            }
            b'B' => {
                let n_bytes = u32::from_le_bytes(self.array()?);
                self.take(n_bytes.into())?;
                self.stack.push(Value::Other);
            }
            // Lists, tuples and dicts.
            b']' | b')' => self.push_items(Vec::new()),
            b'l' | b't' => {
                let items = self.pop_marked()?;
                self.push_items(items);
            }
            n_items @ 0x85..=0x87 => {
                let n_items = usize::from(n_items - 0x84);
                let Some(start) = self.stack.len().checked_sub(n_items) else {
                    return Err(underflow());
                };
                let items = self.stack.split_off(start);
                self.push_items(items);
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_marked()?;
                self.append(items)?;
            }
            b'}' => self.push_dict(Vec::new()),
            b'd' => {
                let items = self.pop_marked()?;
                self.push_dict(pairs(items)?);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = self.pop_marked()?;
                self.set(pairs(items)?)?;
            }
            // What was there before.
            b'p' => {
                let slot = self.line()?.parse()?;
                self.memo.insert(slot, self.top()?.clone());
            }
            b'q' => {
                let slot = self.byte()?.into();
                self.memo.insert(slot, self.top()?.clone());
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.memo.insert(slot, self.top()?.clone());
            }
            0x94 => {
                let slot = self.memo.len().try_into()?;
                self.memo.insert(slot, self.top()?.clone());
            }
            b'g' => {
                let slot = self.line()?.parse()?;
                self.recall(slot)?;
            }
            b'h' => {
                let slot = self.byte()?.into();
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            // Classes, functions and what they make.
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.stack.push(Value::Global(name.into()));
            }
            0x93 => {
                let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err("a class has no name".into());
                };
                self.stack.push(Value::Global(format!("{module}.{name}").into()));
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let value = self.call(&function, &arguments)?;
                self.stack.push(value);
            }
            // The state of an object: an OrderedDict's here, which are the versions of modules.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let value = self.storage(&id)?;
                self.stack.push(value);
            }
            other => return Err(format!("instruction {other:#04x} is not known").into()),
        }
        Ok(true)
    }

    fn call(&mut self, function: &Value, arguments: &Value) -> Result<Value> {
        let (Value::Global(name), Value::Items(arguments)) = (function, arguments) else {
            return Ok(Value::Other);
        };
        let arguments = &self.items[*arguments];
        match (&**name, &arguments[..]) {
            ("collections.OrderedDict", []) => {
                self.dicts.push(Vec::new());
                Ok(Value::Dict(self.dicts.len() - 1))
            }
            // As Python 2 wrote it: a list of pairs.
            ("collections.OrderedDict", [Value::Items(list)]) => {
                let pair = |pair: &Value| match pair {
                    Value::Items(pair) => match &self.items[*pair][..] {
                        [key, value] => Ok((key.clone(), value.clone())),
                        _ => Err("a dict is not made of pairs"),
                    },
                    _ => Err("a dict is not made of pairs"),
                };
                let entries: std::result::Result<_, _> =
                    self.items[*list].iter().map(pair).collect();
                self.dicts.push(entries?);
                Ok(Value::Dict(self.dicts.len() - 1))
            }
            // (storage, offset, shape, strides), and what concerns gradients only.
            (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Items(shape),
                    Value::Items(strides),
                    ..,
                ],
            ) => {
                let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
                if shape.len() != strides.len() {
                    return Err(format!("{} strides for shape {shape:?}", strides.len()).into());
                }
                let (storage, offset) = (Rc::clone(storage), usize::try_from(*offset)?);
                Ok(Value::Tensor(Rc::new(View { storage, offset, shape, strides })))
            }
            (
                "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                [tensor, ..],
            ) => Ok(tensor.clone()),
            (name, _) if name.starts_with("torch._utils._rebuild_") => {
                Err(format!("a tensor is made by {name}, which is not supported").into())
            }
            _ => Ok(Value::Other),
        }
    }

    /// The storage outside of the pickle: `("storage", class, key, device, number of elements)`.
    fn storage(&mut self, id: &Value) -> Result<Value> {
        let Value::Items(id) = id else { return Ok(Value::Other) };
        match &self.items[*id][..] {
            [Value::Text(kind), Value::Global(class), Value::Text(key), _, _, rest @ ..]
                if **kind == *"storage" =>
            {
                // Before PyTorch 0.4 a storage could be a part of another.
                if !matches!(rest, [] | [Value::Other]) {
                    return Err(format!("storage {key} is a part of another storage").into());
                }
                let storage = Rc::new(Storage { key: Rc::clone(key), class: Rc::clone(class) });
                self.storages.push(Rc::clone(&storage));
                Ok(Value::Storage(storage))
            }
            _ => Ok(Value::Other),
        }
    }

    fn sizes(&self, items: usize) -> Result<Vec<usize>> {
        let size = |value: &Value| match value {
            Value::Int(size) => Ok(usize::try_from(*size)?),
            _ => Err("a shape holds something that is not a number".into()),
        };
        self.items[items].iter().map(size).collect()
    }

    fn append(&mut self, new: Vec<Value>) -> Result<()> {
        match *self.top()? {
            Value::Items(list) => self.items[list].extend(new),
            // Of a class of its own.
            Value::Other => {}
            _ => return Err("a value is appended to something that is not a list".into()),
        }
        Ok(())
    }

    fn set(&mut self, new: Vec<(Value, Value)>) -> Result<()> {
        match *self.top()? {
            Value::Dict(dict) => self.dicts[dict].extend(new),
            Value::Other => {}
            _ => return Err("a value is put into something that is not a dict".into()),
        }
        Ok(())
    }

    fn push_items(&mut self, items: Vec<Value>) {
        self.items.push(items);
        self.stack.push(Value::Items(self.items.len() - 1));
    }

    fn push_dict(&mut self, entries: Vec<(Value, Value)>) {
        self.dicts.push(entries);
        self.stack.push(Value::Dict(self.dicts.len() - 1));
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        let value =
            self.memo.get(&slot).ok_or_else(|| format!("no value was stored in slot {slot}"))?;
        self.stack.push(value.clone());
        Ok(())
    }

    fn top(&self) -> Result<&Value> {
        self.stack.last().ok_or_else(underflow)
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn pop_marked(&mut self) -> Result<Vec<Value>> {
        let start = self.marks.pop().filter(|start| *start <= self.stack.len());
        Ok(self.stack.split_off(start.ok_or_else(underflow)?))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N as u64)?.try_into().expect("as many bytes as were asked for"))
    }

    fn take(&mut self, n_bytes: u64) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(n_bytes).ok().and_then(|n_bytes| rest.get(..n_bytes));
        let taken = taken.ok_or("the pickle is cut off")?;
        self.at += taken.len();
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the pickle is cut off")?;
        self.at += end + 1;
        Ok(std::str::from_utf8(&rest[..end])?)
    }

    fn text(&mut self, n_bytes: u64) -> Result<()> {
        let text = std::str::from_utf8(self.take(n_bytes)?)?.into();
        self.stack.push(Value::Text(text));
        Ok(())
    }
}

fn underflow() -> Cause {
    "the pickle takes a value from an empty stack".into()
}

/// An integer of any length, little-endian, two's complement: one too long for us is no size.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut filled = [if negative { 0xff } else { 0 }; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(filled))
}

fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>> {
    if !items.len().is_multiple_of(2) {
        return Err("a dict has a key without a value".into());
    }
    let mut items = items.into_iter();
    Ok(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
}
