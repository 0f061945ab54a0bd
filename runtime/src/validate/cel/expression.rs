//! One expression: compiled, and evaluated for a value.
//!
//! **Invariant**: `has(x.f)` asks whether the field is set, and `x.f` of one that is not is its default.

use std::sync::{Arc, LazyLock};

use cel::{
    Context, Env, Program, Value,
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue},
};
use prost_reflect::DynamicMessage;

use super::functions;
use crate::validate::report::{Field, MESSAGE};

/// What an expression says of a value.
pub(super) enum Verdict {
    Holds,
    /// It is broken, and this is what is wrong.
    Broken(String),
}

/// A rule in CEL.
pub(super) struct Rule {
    pub(super) id: String,
    /// Its place among the rules of a field.
    field: Option<&'static Field>,
    index: usize,
    message: String,
    source: String,
    /// `None` if it does not compile.
    expression: Option<IdedExpr>,
}

/// What rules are about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Message,
    Field,
}

// Fields of buf.validate.FieldRules; 9 is google.protobuf.FieldDescriptorProto.TYPE_STRING.
static CEL: Field = Field::new(23, "cel", MESSAGE);
static CEL_EXPRESSION: Field = Field::new(29, "cel_expression", 9);

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    if let Err(error) = env.add_extension(cel::extensions::strings) {
        tracing::error!(%error, "the string functions of CEL are not there");
    }
    Arc::new(env)
});

impl Rule {
    /// The rules in `cel` and `cel_expression`.
    pub(super) fn all(options: Option<&DynamicMessage>, side: Side) -> Vec<Self> {
        let list = |name: &str| {
            let found = options.and_then(|options| options.get_field_by_name(name));
            let found = found.and_then(|list| list.as_list().map(<[_]>::to_vec));
            found.unwrap_or_default()
        };
        let text = |rule: &prost_reflect::Value, name: &str| {
            let rule = rule.as_message();
            let found = rule.and_then(|rule| rule.get_field_by_name(name));
            let found = found.and_then(|found| found.as_str().map(str::to_owned));
            found.unwrap_or_default()
        };
        let long_form = list("cel").into_iter().enumerate().map(|(index, rule)| {
            let field = (side == Side::Field).then_some(&CEL);
            let (id, message) = (text(&rule, "id"), text(&rule, "message"));
            Self::new(field, index, id, message, text(&rule, "expression"))
        });
        let sources = list("cel_expression").into_iter().enumerate();
        let short_form = sources.map(|(index, source)| {
            let field = (side == Side::Field).then_some(&CEL_EXPRESSION);
            let source = source.as_str().unwrap_or_default().to_owned();
            Self::new(field, index, source.clone(), String::new(), source)
        });
        long_form.chain(short_form).collect()
    }

    fn new(
        field: Option<&'static Field>,
        index: usize,
        id: String,
        message: String,
        source: String,
    ) -> Self {
        let expression = match ENVIRONMENT.compile(&source) {
            Ok(program) => Some(with_presence(&program)),
            Err(error) => {
                tracing::error!(%error, source, "a rule in CEL does not compile");
                None
            }
        };
        Self {
            id,
            field,
            index,
            message,
            source,
            expression,
        }
    }

    /// Its place among the rules of a field.
    pub(super) fn place(&self) -> Option<(&Field, usize)> {
        self.field.map(|field| (field, self.index))
    }

    /// Evaluates the expression with `this` as its value.
    pub(super) fn judge(&self, this: &Value) -> Verdict {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("this", this.clone());
        functions::add_to(&mut context);
        let result = self.expression.as_ref().map(|it| context.resolve(it));
        let default = || match self.message.as_str() {
            "" => format!("\"{}\" returned false", self.source),
            message => message.to_owned(),
        };
        match result {
            Some(Ok(Value::Bool(true))) => Verdict::Holds,
            Some(Ok(Value::Bool(false))) => Verdict::Broken(default()),
            Some(Ok(Value::String(text))) if text.is_empty() => Verdict::Holds,
            Some(Ok(Value::String(text))) => Verdict::Broken(text.to_string()),
            None => Verdict::Broken("the rule does not compile".to_owned()),
            Some(Ok(_)) => {
                tracing::error!(
                    rule = self.id,
                    "a rule in CEL gives neither bool nor string"
                );
                Verdict::Broken("the rule cannot be evaluated".to_owned())
            }
            Some(Err(error)) => {
                tracing::error!(rule = self.id, %error, "a rule in CEL cannot be evaluated");
                Verdict::Broken("the rule cannot be evaluated".to_owned())
            }
        }
    }
}

/// The expression, in which field tests are calls of our own function: the library takes a field that
/// can be read for one that is set.
fn with_presence(program: &Program) -> IdedExpr {
    let mut expression = program.expression().clone();
    rewrite(&mut expression);
    expression
}

fn rewrite(expression: &mut IdedExpr) {
    let id = expression.id;
    match &mut expression.expr {
        Expr::Select(select) => {
            rewrite(&mut select.operand);
            if select.test {
                let field = LiteralValue::String(select.field.as_str().to_owned().into());
                let field = IdedExpr {
                    id,
                    expr: Expr::Literal(field),
                };
                expression.expr = Expr::Call(CallExpr {
                    func_name: functions::HAS.to_owned(),
                    target: None,
                    args: vec![std::mem::take(&mut select.operand), field],
                });
            }
        }
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| rewrite(target));
            call.args.iter_mut().for_each(rewrite);
        }
        Expr::Comprehension(comprehension) => {
            rewrite(&mut comprehension.iter_range);
            rewrite(&mut comprehension.accu_init);
            rewrite(&mut comprehension.loop_cond);
            rewrite(&mut comprehension.loop_step);
            rewrite(&mut comprehension.result);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .for_each(|entry| rewrite_entry(&mut entry.expr)),
        Expr::Struct(it) => it
            .entries
            .iter_mut()
            .for_each(|entry| rewrite_entry(&mut entry.expr)),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn rewrite_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => rewrite(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            rewrite(&mut entry.key);
            rewrite(&mut entry.value);
        }
    }
}
