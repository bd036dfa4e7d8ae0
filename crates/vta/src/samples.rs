//! Inputs out of files: arrays, photographs, and folders of them with their labels.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vta_graph::{Data, Tensor, TensorType};
use vta_program::Preprocess;
use vta_runtime::preprocess::{from_array, from_image};
use vta_runtime::resize::Image;

use crate::quantize::synthetic;
use crate::recipe::verbatim;
use crate::table::Table;
use crate::{Error, Result, parse_image, parse_npy, read, read_text};

const IMAGES: [&str; 3] = ["jpg", "jpeg", "png"];
const ARRAY: &str = "x.npy";
const LABELS: [&str; 2] = ["y.npy", "labels.csv"];

/// Raw inputs of one network, turned into its input tensors one by one.
#[derive(Clone, Debug)]
pub struct Samples {
    raw: Raw,
    preprocess: Preprocess,
    ty: TensorType,
    /// The right classes of each sample; none where they are not known.
    labels: Option<Vec<Vec<usize>>>,
}

#[derive(Clone, Debug)]
enum Raw {
    Array(Array),
    Photo(Image),
    Files(Vec<PathBuf>),
    /// Of this seed.
    Noise(u64),
}

/// Samples inside one array: so many, each of `shape`, `stride` elements from one to the next.
#[derive(Clone, Debug)]
struct Array {
    array: Tensor,
    count: usize,
    stride: usize,
    shape: Vec<usize>,
}

impl Samples {
    /// The samples of a file or folder for an input of type `ty`:
    ///
    /// - a JPEG or PNG file is one sample;
    /// - an `.npy` file is what [`Samples::from_array`] makes of it;
    /// - a folder holds `x.npy`, or photographs, or one `.npy` file; labels come from `y.npy` (an
    ///   integer for each sample) or from the column `label` of `labels.csv` (right classes with
    ///   `|` between them, or nothing), whose column `file`, if present, names the photographs.
    pub fn open(path: &Path, preprocess: &Preprocess, ty: &TensorType) -> Result<Samples> {
        let here = |e: Error| e.at(path.display());
        if path.is_dir() {
            return Self::open_folder(path, preprocess, ty);
        }
        let bytes = read(path)?;
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if extension == "npy" {
            let array = parse_npy(&bytes).map_err(here)?;
            return Self::from_array(array, preprocess, ty).map_err(here);
        }
        let photo = parse_image(&bytes).map_err(|e| {
            here(Error::input(e.message()).help("inputs are JPEG, PNG and .npy files"))
        })?;
        Ok(Self::from_image(&photo, preprocess, ty))
    }

    /// One photograph.
    pub fn from_image(photo: &Image, preprocess: &Preprocess, ty: &TensorType) -> Samples {
        Self::new(Raw::Photo(photo.clone()), preprocess, ty)
    }

    /// One sample of noise: of mean 0 and variance 1 for floats, of all values for integers.
    pub fn noise(seed: u64, ty: &TensorType) -> Samples {
        Self::new(Raw::Noise(seed), &Preprocess::default(), ty)
    }

    /// The samples of an array of raw numbers: one, or many along the first axis. For an input
    /// that is a vector, an array `[time, features]` whose rows divide it evenly is a clip, and
    /// every run of consecutive rows that fills the input a sample.
    ///
    /// Integers of an integer input's own type are taken as they are.
    pub fn from_array(array: Tensor, preprocess: &Preprocess, ty: &TensorType) -> Result<Samples> {
        let wanted = ty.len();
        let shape = array.shape().to_vec();
        let per_row: usize = shape.iter().skip(1).product();
        let is_vector = ty.shape.iter().filter(|&&d| d != 1).count() <= 1;
        let rows = match per_row {
            0 => 0,
            n => wanted / n,
        };
        let array = match shape[..] {
            _ if array.ty().len() == wanted => Array {
                count: 1,
                stride: wanted,
                shape: shape.clone(),
                array,
            },
            [count, ref sample @ ..] if per_row == wanted => Array {
                count,
                stride: wanted,
                shape: sample.to_vec(),
                array,
            },
            [time, features] if is_vector && rows * features == wanted && time >= rows => Array {
                count: time - rows + 1,
                stride: features,
                shape: vec![wanted],
                array,
            },
            _ => {
                // As one sample it says what does not fit.
                from_array(preprocess, &array, ty)?;
                return Err(Error::bug(format!("{} is no sample of {ty}", array.ty())));
            }
        };
        if array.count == 0 {
            return Err(Error::input("the array holds no sample").help("give at least one"));
        }
        let samples = Self::new(Raw::Array(array), preprocess, ty);
        samples.get(0).map(|_| samples)
    }

    fn new(raw: Raw, preprocess: &Preprocess, ty: &TensorType) -> Samples {
        Samples {
            raw,
            preprocess: preprocess.clone(),
            ty: ty.clone(),
            labels: None,
        }
    }

    fn open_folder(folder: &Path, preprocess: &Preprocess, ty: &TensorType) -> Result<Samples> {
        let [y, csv] = LABELS.map(|name| folder.join(name));
        let table = match csv.is_file() {
            true => Some(Table::parse(&read_text(&csv)?).map_err(|e| e.at(csv.display()))?),
            false => None,
        };
        let named = table.as_ref().and_then(|table| table.column("file"));
        let array = folder.join(ARRAY);
        let mut samples = if array.is_file() {
            Self::open(&array, preprocess, ty)?
        } else if let Some(names) = named {
            let files = names.map(|name| folder.join(name)).collect();
            Self::new(Raw::Files(files), preprocess, ty)
        } else {
            Self::open_files(folder, preprocess, ty)?
        };
        if samples.is_empty() {
            return Err(Error::input(format!(
                "{} holds no sample",
                folder.display()
            )));
        }
        if y.is_file() {
            samples.label(classes(&y)?).map_err(|e| e.at(y.display()))?;
        } else if let Some(labels) = table.as_ref().and_then(|table| table.column("label")) {
            let labels = labels
                .enumerate()
                .map(|(row, cell)| alternatives(row, cell));
            let labels = labels.collect::<Result<_>>();
            let labelled = labels.and_then(|labels| samples.label(labels));
            labelled.map_err(|e| e.at(csv.display()))?;
        }
        Ok(samples)
    }

    /// All photographs of a folder, else its one array.
    fn open_files(folder: &Path, preprocess: &Preprocess, ty: &TensorType) -> Result<Samples> {
        let photos = files(folder, &IMAGES)?;
        if !photos.is_empty() {
            return Ok(Self::new(Raw::Files(photos), preprocess, ty));
        }
        match &files(folder, &["npy"])?[..] {
            [array] => Self::open(array, preprocess, ty),
            _ => Err(Error::input(format!(
                "{} holds neither {ARRAY} nor photographs",
                folder.display()
            ))
            .help("give a folder of JPEG or PNG files, or one with x.npy, or an .npy file")),
        }
    }

    fn label(&mut self, labels: Vec<Vec<usize>>) -> Result<()> {
        if labels.len() != self.len() {
            return Err(Error::input(format!(
                "{} labels for {} samples",
                labels.len(),
                self.len()
            ))
            .help("give each sample one label, in the same order"));
        }
        self.labels = Some(labels);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.raw {
            Raw::Array(array) => array.count,
            Raw::Photo(_) | Raw::Noise(_) => 1,
            Raw::Files(files) => files.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The right classes of a sample, where they are known.
    pub fn classes(&self, index: usize) -> Option<&[usize]> {
        let classes = self.labels.as_ref()?.get(index)?;
        (!classes.is_empty()).then_some(classes)
    }

    /// The input tensor of a sample.
    ///
    /// # Errors
    /// If there is no such sample, its file does not read, or it does not fit the input.
    pub fn get(&self, index: usize) -> Result<Tensor> {
        if index >= self.len() {
            return Err(Error::input(format!("there is no sample {index}"))
                .help(format!("there are {}, counted from 0", self.len())));
        }
        match &self.raw {
            &Raw::Noise(seed) => Ok(synthetic(&self.ty, &mut ChaCha8Rng::seed_from_u64(seed))),
            Raw::Photo(image) => Ok(from_image(&self.preprocess, image, &self.ty)?),
            Raw::Files(files) => {
                let one = Self::open(&files[index], &self.preprocess, &self.ty)?;
                one.get(0).map_err(|e| e.at(files[index].display()))
            }
            Raw::Array(array) => {
                let (data, input) = (array.array.dtype(), self.ty.dtype);
                let verbatim = verbatim(&self.preprocess, data, input);
                let preprocess = verbatim.as_ref().unwrap_or(&self.preprocess);
                Ok(from_array(preprocess, &array.get(index), &self.ty)?)
            }
        }
    }

    /// All samples, as the tensors of one run each.
    pub fn all(&self) -> Result<Vec<Vec<Tensor>>> {
        (0..self.len()).map(|i| Ok(vec![self.get(i)?])).collect()
    }
}

impl Array {
    fn get(&self, index: usize) -> Tensor {
        let ty = TensorType::new(self.array.dtype(), self.shape.clone());
        let start = index * self.stride;
        let range = start..start + ty.len();
        let data = match self.array.data() {
            Data::F32(v) => Data::F32(v[range].to_vec()),
            Data::I64(v) => Data::I64(v[range].to_vec()),
            Data::I32(v) => Data::I32(v[range].to_vec()),
            Data::I8(v) => Data::I8(v[range].to_vec()),
            Data::U8(v) => Data::U8(v[range].to_vec()),
        };
        Tensor::new(ty, data)
    }
}

/// The files of a folder with one of these extensions, by name.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::input(format!("cannot read {}: {e}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if extensions.iter().any(|&e| extension == e) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The classes of `y.npy`.
fn classes(path: &Path) -> Result<Vec<Vec<usize>>> {
    let array = parse_npy(&read(path)?).map_err(|e| e.at(path.display()))?;
    let labels = array.to_ints().unwrap_or_default();
    let labels = labels.iter().map(|&y| Some(vec![usize::try_from(y).ok()?]));
    let labels = labels.collect::<Option<Vec<_>>>();
    labels
        .filter(|labels| array.shape() == [labels.len()])
        .ok_or_else(|| {
            Error::input(format!(
                "{}: {} is no list of classes",
                path.display(),
                array.ty()
            ))
            .help("give one integer from 0 on for each sample")
        })
}

/// The classes of a cell: `281|282`; none where it is empty.
fn alternatives(row: usize, cell: &str) -> Result<Vec<usize>> {
    if cell.trim().is_empty() {
        return Ok(Vec::new());
    }
    let classes = cell.split('|').map(|class| class.trim().parse().ok());
    classes.collect::<Option<_>>().ok_or_else(|| {
        Error::input(format!("row {}: `{cell}` is no class", row + 1))
            .help("a label is the number of a class, or several with | between them")
    })
}
