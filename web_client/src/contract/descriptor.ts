/**
 * The contract's descriptor from a plain object, as `descriptors.mjs` writes it into the built page.
 *
 * What an object leaves out has protobuf's default. Only what the contract uses is here: messages with fields and
 * oneofs, enumerations, and services.
 */

import { createFileRegistry, type DescFile } from "@bufbuild/protobuf";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

type Plain = Record<string, unknown>;

const TYPE = "google.protobuf.";

/** Return a message with these values; they are set, and the defaults are not. */
function message(name: string, defaults: Plain, values: Plain): Plain {
  return Object.assign(Object.create(defaults) as Plain, { $typeName: TYPE + name }, values);
}

function all(values: unknown, one: (value: Plain) => Plain): Plain[] {
  return ((values ?? []) as Plain[]).map(one);
}

function fieldOf(plain: Plain): Plain {
  const jsonName = (plain.name as string).replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());
  const defaults = { label: 1, typeName: "", extendee: "", defaultValue: "", oneofIndex: 0, proto3Optional: false };
  return message("FieldDescriptorProto", defaults, { jsonName, ...plain });
}

function enumOf(plain: Plain): Plain {
  const value = all(plain.value, (one) => message("EnumValueDescriptorProto", {}, { number: 0, ...one }));
  return message("EnumDescriptorProto", { visibility: 0 }, { ...plain, value, reservedRange: [], reservedName: [] });
}

function messageOf(plain: Plain): Plain {
  return message("DescriptorProto", { visibility: 0 }, {
    ...plain,
    field: all(plain.field, fieldOf),
    nestedType: all(plain.nestedType, messageOf),
    enumType: all(plain.enumType, enumOf),
    oneofDecl: all(plain.oneofDecl, (one) => message("OneofDescriptorProto", {}, one)),
    extension: [],
    extensionRange: [],
    reservedRange: [],
    reservedName: [],
  });
}

function serviceOf(plain: Plain): Plain {
  const streaming = { clientStreaming: false, serverStreaming: false };
  const method = all(plain.method, (one) => message("MethodDescriptorProto", streaming, one));
  return message("ServiceDescriptorProto", {}, { ...plain, method });
}

/** Return the description of a file of the contract. */
export function fileOf(plain: Plain): DescFile {
  const root = message("FileDescriptorProto", { syntax: "", edition: 0 }, {
    ...plain,
    messageType: all(plain.messageType, messageOf),
    enumType: all(plain.enumType, enumOf),
    service: all(plain.service, serviceOf),
    extension: [],
    dependency: [],
    publicDependency: [],
    weakDependency: [],
    optionDependency: [],
  }) as unknown as FileDescriptorProto;
  return createFileRegistry(root, () => undefined).getFile(root.name)!;
}
