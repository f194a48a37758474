//! The messages of ONNX that a graph of ours needs, encoded by prost: names and numbers of the fields are those of
//! `onnx.proto`.
//!
//! Fields that are never set are left out, as a reader of another version leaves out those that it does not know.
//!
//! Source: onnx/onnx.proto, IR version 8.

use prost::Message;

/// `TensorProto.DataType.FLOAT`, and what is 1 likewise of `AttributeProto`.
pub(in crate::serve::exchange) const FLOAT: i32 = 1;
/// `AttributeProto.AttributeType.INT`.
const INT: i32 = 2;
/// `AttributeProto.AttributeType.INTS`.
const INTS: i32 = 7;

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Model {
    #[prost(int64, tag = "1")]
    pub(in crate::serve::exchange) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(in crate::serve::exchange) producer_name: String,
    #[prost(string, tag = "3")]
    pub(in crate::serve::exchange) producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub(in crate::serve::exchange) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::serve::exchange) opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub(in crate::serve::exchange) metadata: Vec<Entry>,
}

/// `OperatorSetIdProto`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct OperatorSet {
    #[prost(int64, tag = "2")]
    pub(in crate::serve::exchange) version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Entry {
    #[prost(string, tag = "1")]
    pub(in crate::serve::exchange) key: String,
    #[prost(string, tag = "2")]
    pub(in crate::serve::exchange) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::serve::exchange) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(in crate::serve::exchange) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::serve::exchange) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::serve::exchange) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::serve::exchange) output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::serve::exchange) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(in crate::serve::exchange) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(in crate::serve::exchange) name: String,
    #[prost(string, tag = "4")]
    pub(in crate::serve::exchange) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::serve::exchange) attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

impl Attribute {
    #[cfg(test)]
    pub(in crate::serve::exchange) fn is_int(&self, name: &str, i: i64) -> bool {
        self.name == name && self.i == i && self.r#type == INT
    }

    #[cfg(test)]
    pub(in crate::serve::exchange) fn is_float(&self, name: &str, f: f32) -> bool {
        self.name == name && self.f == f && self.r#type == FLOAT
    }

    pub(in crate::serve::exchange) fn float(name: &str, f: f32) -> Self {
        Self { name: name.into(), f, r#type: FLOAT, ..Self::default() }
    }

    pub(in crate::serve::exchange) fn int(name: &str, i: i64) -> Self {
        Self { name: name.into(), i, r#type: INT, ..Self::default() }
    }

    pub(in crate::serve::exchange) fn ints(name: &str, ints: &[i64]) -> Self {
        Self { name: name.into(), ints: ints.to_vec(), r#type: INTS, ..Self::default() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(in crate::serve::exchange) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(in crate::serve::exchange) data_type: i32,
    #[prost(string, tag = "8")]
    pub(in crate::serve::exchange) name: String,
    /// Little-endian numbers, the last index fastest.
    #[prost(bytes = "vec", tag = "9")]
    pub(in crate::serve::exchange) raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(in crate::serve::exchange) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::serve::exchange) r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(in crate::serve::exchange) tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(in crate::serve::exchange) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(in crate::serve::exchange) shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::serve::exchange) dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`: a size or the name of one.
#[derive(Clone, PartialEq, Message)]
pub(in crate::serve::exchange) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub(in crate::serve::exchange) value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::serve::exchange) param: Option<String>,
}
